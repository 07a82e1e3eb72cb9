#!lua
--[[ Makes an App known, unless it is there already.

KEYS     1  app              hash, rs:app:<id>
ARGV     1  key              SHA-256 of the App's key, 64 hexadecimal digits
         2  created          ms since 1970
         3+ field, value...  its limits, in pairs; an empty value: none
RETURNS  1; 0 if it exists, unchanged
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV < 2 or #ARGV % 2 ~= 0 then
	return redis.error_reply('ERR app_create: wants 1 KEYS, a key, created and pairs of field and value as ARGV')
end
local app, key, created = KEYS[1], ARGV[1], ARGV[2]
local FIRST_FIELD = 3
if not tonumber(created) then return redis.error_reply('ERR app_create: created must be a number') end

local fields = {}
for i = FIRST_FIELD, #ARGV, 2 do
	if ARGV[i + 1] ~= '' then
		fields[#fields + 1] = ARGV[i]
		fields[#fields + 1] = ARGV[i + 1]
	end
end

if redis.call('EXISTS', app) == 1 then return 0 end
redis.call('HSET', app, 'key', key, 'created', created, unpack(fields))
return 1
