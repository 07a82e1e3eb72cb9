#!lua flags=allow-oom
--[[ Gives an App a new key. The one it had is good for a while longer; one that was
former already is not.

KEYS     1  app    hash, rs:app:<id>
ARGV     1  key    SHA-256 of the new key, 64 hexadecimal digits
         2  until  ms since 1970: the former key is good until then; 0: no longer
RETURNS  1; 0 if there is no such App
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV ~= 2 then
	return redis.error_reply('ERR app_rotate: wants 1 KEYS and 2 ARGV')
end
local app, key, until_ms = KEYS[1], ARGV[1], ARGV[2]
if not tonumber(until_ms) then return redis.error_reply('ERR app_rotate: until must be a number') end
local call = redis.call

if call('HLEN', app) == 0 then return 0 end
local former = call('HGET', app, 'key')
if former and until_ms ~= '0' then
	call('HSET', app, 'key', key, 'key2', former, 'key2_until', until_ms)
else
	call('HDEL', app, 'key2', 'key2_until')
	call('HSET', app, 'key', key)
end
return 1
