#!lua flags=allow-oom
--[[ Tells a broker to drain: it hears of it with its next beat.

KEYS     1  member  hash, rs:broker:<id>
ARGV     1  over    seconds over which its clients are sent elsewhere
RETURNS  0 there is no such broker; 1 told; 2 told, and it had been told before
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV ~= 1 then
	return redis.error_reply('ERR registry_drain: wants 1 KEYS and 1 ARGV')
end
local member, over = KEYS[1], ARGV[1]
if not string.find(over, '^%d+$') then
	return redis.error_reply('ERR registry_drain: over must be a whole number')
end

if redis.call('EXISTS', member) == 0 then return 0 end
return redis.call('HSET', member, 'drain', over) == 1 and 1 or 2
