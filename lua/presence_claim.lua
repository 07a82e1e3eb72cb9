#!lua flags=allow-oom
--[[ Makes a broker's connection the owner of a user: the last step of a login.

KEYS     1  presence   hash, rs:{user}:presence
         2  queue      list, rs:{user}:queue
ARGV     1  broker     the broker's id
         2  boot       its boot number
         3  conn       its connection id
         4  address    the client's address, "ip:port"
         5  lease      ms for which the claim holds unless renewed
RETURNS  {owner, queue length}
         {owner, queue length, old broker, old boot, old conn, old owner}   the user was
                                                                            online until now
CALLERS  broker, after a login was verified

The owner token is Redis's time in microseconds, and always larger than the one
before, even if that clock went back: whoever holds a smaller one is fenced. ]]

if #KEYS ~= 2 or #ARGV ~= 5 then
	return redis.error_reply('ERR presence_claim: wants 2 KEYS and 5 ARGV')
end
local presence, queue = KEYS[1], KEYS[2]
local broker, boot, conn, address, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if not lease then return redis.error_reply('ERR presence_claim: lease must be a number') end
local call = redis.call

local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length = call('LLEN', queue)
local old = call('HMGET', presence, 'broker', 'boot', 'conn', 'owner')
-- A double holds these exactly (below 2^53); %.0f because tostring() would round.
local owner = string.format('%.0f',
	math.max(time[1] * 1000000 + time[2], (tonumber(old[4]) or 0) + 1))

call('HSET', presence, 'broker', broker, 'boot', boot, 'conn', conn, 'owner', owner,
	'address', address, 'since', string.format('%.0f', now),
	'lease', string.format('%.0f', now + lease))
call('HDEL', presence, 'seen')
call('PEXPIRE', presence, lease)

if not old[1] then return {owner, length} end
return {owner, length, old[1], old[2], old[3], old[4]}
