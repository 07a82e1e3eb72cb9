#!lua
--[[ Gives an App one receipt: what became of a message of its. Once only: whoever takes
the message out of `awaited` gives the receipt, and nobody else can.

KEYS     1  awaited    sorted set of "<user> <message id>", rs:app:{<app>}:awaited
         2  receipts   stream, rs:app:{<app>}:receipts
ARGV     1  user       whose message it was
         2  id         the message
         3  state      acknowledged, expired, replaced, displaced or withdrawn
         4  at         when it ended, ms since 1970
         5  keep       ms for which receipts are kept
RETURNS  the receipt's id in the stream; '' if none is awaited: it was given before
CALLERS  DC, when a script said that a message ended, or message_status did

No allow-oom: while Redis is full the message stays awaited, and its receipt comes later. ]]

if #KEYS ~= 2 or #ARGV ~= 5 then
	return redis.error_reply('ERR receipt_give: wants 2 KEYS and 5 ARGV')
end
local awaited, receipts = KEYS[1], KEYS[2]
local user, id, state, at, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if not (tonumber(at) and keep) then
	return redis.error_reply('ERR receipt_give: at and keep must be numbers')
end
local call = redis.call
local member = user .. ' ' .. id

if not call('ZSCORE', awaited, member) then return '' end
call('XLEN', receipts)
local time = call('TIME')
local oldest = string.format('%.0f', math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - keep))

call('ZREM', awaited, member)
local cursor = call('XADD', receipts, 'MINID', '~', oldest, '*', 'message', id, 'to', user, 'state', state, 'at', at)
call('PEXPIRE', receipts, keep)
return cursor
