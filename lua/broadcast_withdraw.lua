#!lua flags=allow-oom
--[[ Takes a kept broadcast back: who does not have it yet does not get it.

KEYS     1  kept       sorted set of records by number, rs:broadcast:{all}:kept
         2  version    string, rs:broadcast:{all}:version
ARGV     1  app        whose it must be; '' for the operator, who may take back any
         2  id         its id, 26 characters
RETURNS  1; 0 if none of this App's has the id, and nothing was changed
CALLERS  DC, for an App; CLI, for the operator ]]

if #KEYS ~= 2 or #ARGV ~= 2 then
	return redis.error_reply('ERR broadcast_withdraw: wants 2 KEYS and 2 ARGV')
end
local kept, version, app, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local call, sub = redis.call, string.sub

local last = tonumber(call('GET', version) or 0) or 0
local all = call('ZRANGE', kept, 0, -1, 'WITHSCORES')
local time = call('TIME')

local found, longest = nil, 0
for i = 1, #all, 2 do
	local record = all[i]
	local space = string.find(record, ' ', 28, true)
	local owner = space and sub(record, 28, space - 1)
	if sub(record, 1, 27) == id .. ' ' and (app == '' or owner == app) then
		found = record
	else
		longest = math.max(longest, space and tonumber(sub(record, space + 15, space + 27)) or 0)
	end
	last = math.max(last, tonumber(all[i + 1]))
end
if not found then return 0 end

call('ZREM', kept, found)
if longest > 0 then call('PEXPIREAT', kept, string.format('%.0f', longest)) end
call('SET', version, string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1)))
return 1
