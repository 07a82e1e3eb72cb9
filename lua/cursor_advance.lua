#!lua flags=allow-oom
--[[ Notes the last kept broadcast that a user has: none up to it is given again.

KEYS     1  cursor     string, rs:{user}:cursor
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token
         2  number     of the broadcast
         3  expires    ms since 1970: when the longest kept broadcast up to it ends; the
                       cursor goes with it
RETURNS  1; 0 if the cursor was there or beyond; -1 fenced: another login owns the user
CALLERS  broker, when a client has taken broadcasts

It only ever goes forward, and its end is never put forward: a broker that knows
less than the one before makes no broadcast come again. ]]

if #KEYS ~= 2 or #ARGV ~= 3 then
	return redis.error_reply('ERR cursor_advance: wants 2 KEYS and 3 ARGV')
end
local cursor, presence, owner = KEYS[1], KEYS[2], ARGV[1]
local number, expires = tonumber(ARGV[2]), tonumber(ARGV[3])
if not (number and expires) or expires < 1 then
	return redis.error_reply('ERR cursor_advance: number and expires must be numbers')
end
local call = redis.call

if call('HGET', presence, 'owner') ~= owner then return -1 end
if (tonumber(call('GET', cursor) or 0) or 0) >= number then return 0 end
local ends = math.max(expires, call('PEXPIRETIME', cursor))
call('SET', cursor, string.format('%.0f', number), 'PXAT', string.format('%.0f', ends))
return 1
