#!lua
--[[ Records a new session id, unless it is there already.

KEYS     1  session      hash, rs:session:<sha256 of the session id>
ARGV     1  user         whom it belongs to
         2  created      ms since 1970
         3  expires      ms since 1970: logins are refused from then on
         4  keep_until   ms since 1970: the key goes; later than `expires`, so that an old
                         session is refused as "expired" and not as "unknown" for a while
RETURNS  1; 0 if it exists, unchanged
CALLERS  CLI, back ends ]]

if #KEYS ~= 1 or #ARGV ~= 4 then
	return redis.error_reply('ERR session_create: wants 1 KEYS and 4 ARGV')
end
local session = KEYS[1]
local user, created, expires, keep_until = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not (tonumber(created) and tonumber(expires) and tonumber(keep_until)) then
	return redis.error_reply('ERR session_create: created, expires, keep_until must be numbers')
end

if redis.call('EXISTS', session) == 1 then return 0 end
redis.call('HSET', session, 'user', user, 'created', created, 'expires', expires)
redis.call('PEXPIREAT', session, keep_until)
return 1
