#!lua flags=allow-oom
--[[ Makes a broker's connection the owner of a user: the last step of a login.

KEYS     1    presence   hash, rs:{user}:presence
         2-4  queues     lists, rs:{user}:queue, :queue:high, :queue:low
         5    cursor     string, rs:{user}:cursor
         6    missed     hash, rs:{user}:missed
ARGV     1    broker     the broker's id
         2    boot       its boot number
         3    conn       its connection id
         4    address    the client's address, "ip:port"
         5    lease      ms for which the claim holds unless renewed
RETURNS  {owner, {normal, high, low}, cursor, {app, count...}[, old broker, old boot, old conn,
         old owner]}     the lengths of the queues; the last kept broadcast the user had, ''
                         if none; messages displaced, of which the client has not been told;
                         who held the user until now
CALLERS  broker, after a login was verified

The owner token is Redis's time in microseconds, and always larger than the one
before, even if that clock went back: whoever holds a smaller one is fenced. ]]

if #KEYS ~= 6 or #ARGV ~= 5 then
	return redis.error_reply('ERR presence_claim: wants 6 KEYS and 5 ARGV')
end
local presence, cursor, missed = KEYS[1], KEYS[5], KEYS[6]
local broker, boot, conn, address, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if not lease then return redis.error_reply('ERR presence_claim: lease must be a number') end
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waiting = {call('LLEN', KEYS[2]), call('LLEN', KEYS[3]), call('LLEN', KEYS[4])}
local had, untold = call('GET', cursor) or '', call('HGETALL', missed)
local old = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
-- A double holds these exactly (below 2^53); %.0f because tostring() would round.
local owner = string.format('%.0f',
	math.max(time[1] * 1000000 + time[2], (tonumber(old[4]) or 0) + 1))

call('HDEL', presence, 'seen', 'handed:normal', 'handed:high', 'handed:low')
call('HSET', presence, 'broker', broker, 'boot', boot, 'conn', conn, 'owner', owner,
	'address', address, 'since', string.format('%.0f', now),
	'lease', string.format('%.0f', now + lease))
call('PEXPIRE', presence, lease)

if not old[1] then return {owner, waiting, had, untold} end
return {owner, waiting, had, untold, old[1], old[2], old[3], old[4]}
