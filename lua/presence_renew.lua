#!lua flags=allow-oom
--[[ Prolongs a broker's lease on a user.

KEYS     1  presence   hash, rs:{user}:presence
         2-4 queues    lists, rs:{user}:queue, :queue:high, :queue:low
ARGV     1  owner      the caller's owner token
         2  broker     the broker's id
         3  boot       its boot number
         4  conn       its connection id
         5  address    the client's address, "ip:port"
         6  since      ms since 1970 of the login
         7  lease      ms from now
RETURNS  {normal, high, low}, the lengths of the queues; -1 when another login owns the user, or
         the user was logged out
CALLERS  broker, for each user it holds, well before the lease ends

If Redis has no presence at all (it lost its memory, or the lease ran out while
nobody else came), the hash is made again with the token the broker holds. ]]

if #KEYS ~= 4 or #ARGV ~= 7 then
	return redis.error_reply('ERR presence_renew: wants 4 KEYS and 7 ARGV')
end
local presence = KEYS[1]
local owner, broker, boot, conn, address, since = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local lease = tonumber(ARGV[7])
if not lease then return redis.error_reply('ERR presence_renew: lease must be a number') end
local call = redis.call

local time = call('TIME')
local ends = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + lease)
local waiting = {call('LLEN', KEYS[2]), call('LLEN', KEYS[3]), call('LLEN', KEYS[4])}
local current = call('HMGET', presence, 'owner', 'broker')

if not current[1] then
	call('HSET', presence, 'broker', broker, 'boot', boot, 'conn', conn, 'owner', owner,
		'address', address, 'since', since, 'lease', ends)
elseif current[1] ~= owner or not current[2] then
	return -1
else
	call('HSET', presence, 'address', address, 'lease', ends)
end
call('PEXPIRE', presence, lease)
return waiting
