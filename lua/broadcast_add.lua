#!lua
--[[ Keeps one broadcast for all users: stored once, however many they are.

KEYS     1  kept       sorted set of records by number, rs:broadcast:{all}:kept
         2  version    string, rs:broadcast:{all}:version
         3  once       string, rs:broadcast:{all}:once:{<app>}:<id>; given when the App named an id
ARGV     1  record     "<id> <app> <sent> <expires> <app's id or ->\n<body>"
         2  expires    ms since 1970, the same as in the record
         3  now        ms since 1970
         4  max_count  the most broadcasts that may be kept
         5  once_ttl   ms for which the App's id is remembered
RETURNS  {'kept', number}     its number, a string
         {'duplicate', id}    the id given the first time
         {'full', count}      nothing was added
CALLERS  DC, for each broadcast with a lifetime

The number is Redis's time in microseconds, and always larger than every number and
version before, even if that clock went back: no user's cursor is beyond it. What
has expired leaves here, and the key goes when its longest broadcast would. No
allow-oom: a Redis that is full refuses this. An element that is not a record stays. ]]

if #KEYS < 2 or #KEYS > 3 or #ARGV ~= 5 then
	return redis.error_reply('ERR broadcast_add: wants 2 or 3 KEYS and 5 ARGV')
end
local kept, version, once = KEYS[1], KEYS[2], KEYS[3]
local record, expires, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_count, once_ttl = tonumber(ARGV[4]), ARGV[5]
if not (expires and now and max_count and tonumber(once_ttl)) then
	return redis.error_reply('ERR broadcast_add: expires, now, max_count, once_ttl must be numbers')
end
local call, sub = redis.call, string.sub

if once then
	local id = call('GET', once)
	if id then return {'duplicate', id} end
end
local last = tonumber(call('GET', version) or 0) or 0
local all = call('ZRANGE', kept, 0, -1, 'WITHSCORES')
local time = call('TIME')

local gone, count, longest = {}, 0, expires
for i = 1, #all, 2 do
	local space = string.find(all[i], ' ', 28, true)
	local ends = space and tonumber(sub(all[i], space + 15, space + 27))
	if ends and ends <= now then
		gone[#gone + 1] = all[i]
	else
		count = count + 1
		longest = math.max(longest, ends or 0)
	end
	last = math.max(last, tonumber(all[i + 1]))
end

if #gone > 0 then call('ZREM', kept, unpack(gone)) end
if count >= max_count then return {'full', count} end

-- A double holds these exactly (below 2^53); %.0f because tostring() would round.
local number = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
call('ZADD', kept, number, record)
call('PEXPIREAT', kept, string.format('%.0f', longest))
call('SET', version, number)
if once then call('SET', once, sub(record, 1, 26), 'PX', once_ttl) end
return {'kept', number}
