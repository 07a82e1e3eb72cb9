#!lua flags=allow-oom
--[[ Changes limits of an App that is known.

KEYS     1  app              hash, rs:app:<id>
ARGV     1+ field, value...  in pairs; an empty value takes the field away
RETURNS  1; 0 if there is no such App
CALLERS  CLI ]]

if #KEYS ~= 1 or #ARGV < 2 or #ARGV % 2 ~= 0 then
	return redis.error_reply('ERR app_set: wants 1 KEYS and pairs of field and value as ARGV')
end
local app = KEYS[1]
local NOT_A_LIMIT = {key = true, created = true, key2 = true, key2_until = true}
local call = redis.call

for i = 1, #ARGV, 2 do
	if NOT_A_LIMIT[ARGV[i]] then return redis.error_reply('ERR app_set: ' .. ARGV[i] .. ' is not a limit') end
end

if call('HLEN', app) == 0 then return 0 end
for i = 1, #ARGV, 2 do
	if ARGV[i + 1] == '' then
		call('HDEL', app, ARGV[i])
	else
		call('HSET', app, ARGV[i], ARGV[i + 1])
	end
end
return 1
