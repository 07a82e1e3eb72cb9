#!lua flags=allow-oom
--[[ Switches for a user whether messages of an App, or of all, are stored.

KEYS     1  settings   hash, rs:{user}:settings
         2  presence   hash, rs:{user}:presence
ARGV     1  owner      the caller's owner token; '' when an App asks
         2  app        whose messages; * for all
         3  on         1: they are stored, as without the setting; 0: they are not
         4  now        ms since 1970
         5  max        the most settings a user may have
RETURNS  1; 0 if it was so already; -1 when another login owns the user; -2 over max
CALLERS  broker, when a client asks for it; DC, when an App does

The value is since when it has been off: switching off again changes nothing. ]]

if #KEYS ~= 2 or #ARGV ~= 5 then
	return redis.error_reply('ERR settings_store: wants 2 KEYS and 5 ARGV')
end
local settings, presence = KEYS[1], KEYS[2]
local owner, app, on, now, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
if not (now and max) or (on ~= '0' and on ~= '1') then
	return redis.error_reply('ERR settings_store: on must be 0 or 1, now and max must be numbers')
end
local call = redis.call
local field = 'off:' .. app

if owner ~= '' and call('HGET', presence, 'owner') ~= owner then return -1 end
if on == '1' then return call('HDEL', settings, field) end
if call('HEXISTS', settings, field) == 1 then return 0 end
if call('HLEN', settings) >= max then return -2 end
return call('HSET', settings, field, string.format('%.0f', now))
