#!lua flags=allow-oom
--[[ Logs a user out, if the caller still owns the user. What stays for a while is a
tombstone: the owner token, so that the next one is larger, and when the user was
last seen.

KEYS     1  presence    hash, rs:{user}:presence
ARGV     1  owner       the caller's owner token
         2  tombstone   ms for which the tombstone is kept
RETURNS  1; 0 when another login owns the user or nobody is logged in
CALLERS  broker, on logout, on a client that is gone, when it drains ]]

if #KEYS ~= 1 or #ARGV ~= 2 then
	return redis.error_reply('ERR presence_clear: wants 1 KEYS and 2 ARGV')
end
local presence, owner, tombstone = KEYS[1], ARGV[1], tonumber(ARGV[2])
if not tombstone then return redis.error_reply('ERR presence_clear: tombstone must be a number') end
local call = redis.call

local current = call('HMGET', presence, 'owner', 'broker')
if current[1] ~= owner or not current[2] then return 0 end

local time = call('TIME')
call('HDEL', presence, 'broker', 'boot', 'conn', 'address', 'since', 'lease',
	'handed:normal', 'handed:high', 'handed:low')
call('HSET', presence, 'seen', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
call('PEXPIRE', presence, tombstone)
return 1
