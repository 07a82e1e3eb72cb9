#!lua flags=allow-oom
--[[ Makes an App unknown: nobody gets in as it, and within seconds the DCs end its
connections. Messages that it sent stay.

KEYS     1  app  hash, rs:app:<id>
ARGV     none
RETURNS  1; 0 if there was no such App
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV ~= 0 then
	return redis.error_reply('ERR app_remove: wants 1 KEYS and no ARGV')
end
local app = KEYS[1]

if redis.call('HLEN', app) == 0 then return 0 end
return redis.call('DEL', app)
