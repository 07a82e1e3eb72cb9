#!lua
--[[ Makes an App known, unless it is there already.

KEYS     1  app       hash, rs:app:<id>
ARGV     1  key       SHA-256 of the App's key, 64 hexadecimal digits
         2  created   ms since 1970
RETURNS  1; 0 if it exists, unchanged
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV ~= 2 then
	return redis.error_reply('ERR app_create: wants 1 KEYS and 2 ARGV')
end
local app, key, created = KEYS[1], ARGV[1], ARGV[2]

if redis.call('EXISTS', app) == 1 then return 0 end
redis.call('HSET', app, 'key', key, 'created', created)
return 1
