-- What the scripts know of a record (libshared/wire/record.h):
-- "<id> <app> <sent> <expires> <app's id or ->[ p=..][ c=..][ t=..][ r][ f=..]\n<body>"
local find, sub = string.find, string.sub
local CHUNK = 64 -- records read at a time
local GONE = '\0gone'

-- The App, when it expires in ms, and where its own id begins; nil if it cannot be read.
local function look(record)
	local space = find(record, ' ', 28, true)
	local ends = space and tonumber(sub(record, space + 15, space + 27))
	if not ends then return nil end
	return sub(record, 28, space - 1), ends, space + 29
end

-- The words behind the App's id, with a space before and after: "" or " c=key r ".
local function words_of(record)
	local _, _, at = look(record)
	if not at then return '' end
	local line = find(record, '\n', at, true)
	local space = find(record, ' ', at, true)
	if not line or not space or space > line then return '' end
	return sub(record, space, line - 1) .. ' '
end

local function wants_receipt(record)
	return find(words_of(record), ' r ', 1, true) ~= nil
end

-- Whether it is a fan-out's, whose body lies elsewhere.
local function is_of_many(record)
	return find(words_of(record), ' f[ =]') ~= nil
end

-- Its bytes, with those of a body that lies elsewhere.
local function size_of(record)
	return #record + (tonumber(string.match(words_of(record), ' f=(%d+) $')) or 0)
end

-- A record that cannot be read counts as not expired: never delete what is not understood.
local function is_expired(record, now)
	local _, ends = look(record)
	return ends ~= nil and ends <= now
end

-- Calls fn(record, index) from index `at` on, until it returns true. `first`: how many
-- to read at once to begin with, for those who expect to need only these.
local function each_record(queue, at, fn, first)
	local size = math.min(first or CHUNK, CHUNK)
	local chunk, wanted
	repeat
		chunk, wanted = redis.call('LRANGE', queue, at, at + size - 1), size
		for i = 1, #chunk do
			if fn(chunk[i], at + i - 1) then return end
		end
		at, size = at + size, CHUNK
	until #chunk < wanted
end

-- Takes the elements at these indexes, rising, out of a queue. Those at its head are cut
-- off; the others are marked and removed together, as each removal by value would walk
-- through the queue again.
local function take_out(queue, places)
	local head, count = 0, #places
	while places[head + 1] == head do head = head + 1 end
	for i = head + 1, count do redis.call('LSET', queue, places[i], GONE) end
	if count > head then redis.call('LREM', queue, count - head, GONE) end
	if head > 0 then redis.call('LTRIM', queue, head, -1) end
end
