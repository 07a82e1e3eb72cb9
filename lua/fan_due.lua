#!lua flags=allow-oom
--[[ Which fan-outs have a lease that has ended, by Redis's clock.

KEYS     1  fans  sorted set, rs:fans
ARGV     1  max   so many
RETURNS  ids, the one that ended first before the others
CALLERS  DC, each second ]]

if #KEYS ~= 1 or #ARGV ~= 1 then
	return redis.error_reply('ERR fan_due: wants 1 KEYS and 1 ARGV')
end
local fans, max = KEYS[1], tonumber(ARGV[1])
if not max then return redis.error_reply('ERR fan_due: max must be a number') end
local call = redis.call

local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return call('ZRANGEBYSCORE', fans, '-inf', now, 'LIMIT', 0, max)
