#!lua flags=allow-oom
--[[ Lists a fan-out among those that run, by the end of its lease by Redis's clock.

KEYS     1  fans   sorted set, rs:fans
ARGV     1  id     its message id
         2  lease  ms from now; 0: any DC may take it at once
         3  which  any; new: only if it is not listed; old: only if it is
RETURNS  1 it is listed anew; 0 it was before, or is not
CALLERS  DC: that makes one, that runs one, each second; that could not take one over ]]

if #KEYS ~= 1 or #ARGV ~= 3 then
	return redis.error_reply('ERR fan_enlist: wants 1 KEYS and 3 ARGV')
end
local fans, id, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local flags = ({any = {}, new = {'NX'}, old = {'XX'}})[ARGV[3]]
if not lease then return redis.error_reply('ERR fan_enlist: lease must be a number') end
if not flags then return redis.error_reply('ERR fan_enlist: which must be any, new or old') end
local call = redis.call

local time = call('TIME')
flags[#flags + 1] = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + lease)
flags[#flags + 1] = id
return call('ZADD', fans, unpack(flags))
