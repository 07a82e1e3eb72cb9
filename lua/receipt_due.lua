#!lua flags=allow-oom
--[[ Messages of an App whose end is to be looked for now, because their receipt has not
come. They are put off for a while in the same step, so that no two Data Centers look for
the same; if the one that took them dies, another finds them when that while is over.

KEYS     1  awaited   sorted set of "<user> <message id>" by when to look, ms since 1970,
                      rs:app:{<app>}:awaited
ARGV     1  now       ms since 1970
         2  again     when they are due again, ms since 1970
         3  max       how many at most
RETURNS  the members, the longest due first
CALLERS  DC, every second ]]

if #KEYS ~= 1 or #ARGV ~= 3 then
	return redis.error_reply('ERR receipt_due: wants 1 KEYS and 3 ARGV')
end
local awaited = KEYS[1]
local now, again, max = ARGV[1], ARGV[2], ARGV[3]
if not (tonumber(now) and tonumber(again) and tonumber(max)) then
	return redis.error_reply('ERR receipt_due: now, again and max must be numbers')
end

local due = redis.call('ZRANGEBYSCORE', awaited, '-inf', now, 'LIMIT', 0, max)
for i = 1, #due do redis.call('ZADD', awaited, again, due[i]) end
return due
