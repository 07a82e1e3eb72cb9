#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks the shape of the code: who may include whom, where the outside
# libraries may be seen, that wire/ and session/ do nothing but compute, that each
# header stands on its own and each .c proves it by including its own first.
#
#   layers.sh DIR          checks the tree in DIR, prints each fault, exits 1 if any
#   layers.sh --self-test  plants one fault at a time and sees that it is found
set -euo pipefail
export LC_ALL=C

# What each folder of libshared/ may include of libshared/. A service may
# include all of them, and itself.
declare -A MAY=(
	[base]="base"
	[wire]="base wire"
	[crypto]="base crypto"
	[session]="base wire crypto session"
	[net]="base wire crypto session net"
	[rds]="base wire crypto session net rds"
	[app]="base wire crypto session net rds app"
	[client]="base wire crypto session client"
)
EVERY_LAYER="${!MAY[*]}"

# Folders or files that may see the outside libraries.
SEES_EV='^(libshared/(net|rds|app)/|services/)'
SEES_HIREDIS='^libshared/rds/'
SEES_OPENSSL='^(libshared/crypto/|libshared/net/tls\.c$)'

# Not in wire/ and session/: input, output, clocks, chance.
OUTSIDE_HEADERS='^<(sys/(socket|time|select|epoll|random|uio|types|stat|file|ioctl)|netinet/.*|arpa/.*|net/.*|netdb|unistd|fcntl|time|poll|signal|pthread|ev|threads)(\.h)?>|^"(base/(clock|log)|crypto/random)\.h"'
OUTSIDE_CALLS='socket|bind|listen|accept|connect|send|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg|read|write|open|close|poll|select|epoll_[a-z]+|fopen|fread|fwrite|fputs|fputc|puts|putchar|printf|fprintf|vprintf|vfprintf|perror|getenv|system|time|clock|clock_[a-z_]+|gettimeofday|nanosleep|usleep|sleep|rand|getrandom|getentropy|random_bytes|RAND_[a-z]+|log_(debug|info|warn|error)|ev_[a-z_]+'
ALLOCATION='malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf'

faults=0
fault() # FILE WHAT
{
	printf '%s: %s\n' "$1" "$2"
	faults=$((faults + 1))
}

contains() # WORD LIST
{
	[[ " $2 " == *" $1 "* ]]
}

# What the file includes, in order, with the quotes or brackets.
includes_of()
{
	sed -nE 's/^[ \t]*#[ \t]*include[ \t]+([<"][^>"]+[>"]).*/\1/p' "$1"
}

# The code alone: comments and literals blanked, one line a line.
code_of()
{
	awk '{
		line = $0; out = ""
		while (line != "") {
			if (block) {
				at = index(line, "*/")
				if (!at) { line = ""; break }
				line = substr(line, at + 2); block = 0
			} else if (substr(line, 1, 2) == "/*") {
				block = 1; line = substr(line, 3)
			} else if (substr(line, 1, 2) == "//") {
				line = ""
			} else if (match(line, /^"([^"\\]|\\.)*"/) || match(line, /^\047([^\047\\]|\\.)*\047/)) {
				out = out "0"; line = substr(line, RLENGTH + 1)
			} else {
				out = out substr(line, 1, 1); line = substr(line, 2)
			}
		}
		print out
	}' "$1"
}

# First call of one of the functions in the pattern $2, not as a member.
first_call()
{
	code_of "$1" | grep -oE "(^|[^A-Za-z0-9_.>])($2) ?\(" | grep -oE "($2) ?\(" | head -n 1 | tr -d ' ('
}

check_outside_libraries() # FILE INCLUDE
{
	case $2 in
	'<ev.h>' | '<ev++.h>' | '<hiredis/adapters/libev.h>')
		[[ $1 =~ $SEES_EV ]] || fault "$1" "$2 belongs in net/, rds/, app/ and the services" ;;
	'<openssl/'*)
		[[ $1 =~ $SEES_OPENSSL ]] || fault "$1" "$2 belongs in crypto/ and net/tls.c" ;;
	esac
	case $2 in
	'<hiredis'*)
		[[ $1 =~ $SEES_HIREDIS ]] || fault "$1" "$2 belongs in rds/" ;;
	esac
}

check_layer_include() # FILE LAYER INCLUDE
{
	[[ $3 == '"'* ]] || return 0
	local path=${3//\"/}
	local from=${path%%/*}
	if [[ $path != */* || $path == *..* ]]; then
		fault "$1" "$3 is not written relative to libshared/"
	elif ! contains "$from" "$EVERY_LAYER"; then
		fault "$1" "$3: there is no layer $from/"
	elif ! contains "$from" "${MAY[$2]}"; then
		fault "$1" "$3: $2/ may include ${MAY[$2]// /, } only"
	elif [[ ! -f libshared/$path ]]; then
		fault "$1" "$3 does not exist"
	fi
}

check_service_include() # FILE SERVICE INCLUDE
{
	[[ $3 == '"'* ]] || return 0
	local path=${3//\"/}
	local from=${path%%/*}
	if [[ $path == *..* ]]; then
		fault "$1" "$3 climbs out of its folder"
	elif [[ $path != */* ]]; then
		[[ -f services/$2/$path ]] || fault "$1" "$3 is not in services/$2/"
	elif ! contains "$from" "$EVERY_LAYER"; then
		fault "$1" "$3: a service includes libshared/ and itself, never another service"
	elif [[ ! -f libshared/$path ]]; then
		fault "$1" "$3 does not exist"
	fi
}

check_purity() # FILE LAYER
{
	local one
	for one in $(includes_of "$1"); do
		[[ ! $one =~ $OUTSIDE_HEADERS ]] || fault "$1" "$one: $2/ does no input or output and reads no clock"
	done
	one=$(first_call "$1" "$OUTSIDE_CALLS") || true
	[[ -z $one ]] || fault "$1" "$one(): $2/ does no input or output and reads no clock"
	[[ $2 == wire ]] || return 0
	one=$(first_call "$1" "$ALLOCATION") || true
	[[ -z $one ]] || fault "$1" "$one(): wire/ allocates nothing"
}

# FILE, and how its own header is written in it
check_own_header_first()
{
	local header=${1%.c}.h first
	[[ $1 == *.c && -f $header ]] || return 0
	read -r first < <(includes_of "$1") || true
	[[ ${first:-} == "\"$2\"" ]] || fault "$1" "its first include is ${first:-missing}, not \"$2\""
}

check_layers()
{
	local file layer one
	for file in libshared/*/*.[ch]; do
		layer=${file#libshared/}
		layer=${layer%%/*}
		if ! contains "$layer" "$EVERY_LAYER"; then
			fault "$file" "the layer $layer/ is not in the table of $0"
			continue
		fi
		for one in $(includes_of "$file"); do
			check_outside_libraries "$file" "$one"
			check_layer_include "$file" "$layer" "$one"
		done
		[[ $layer != wire && $layer != session ]] || check_purity "$file" "$layer"
		one=${file#libshared/}
		check_own_header_first "$file" "${one%.c}.h"
	done
}

check_services()
{
	local file service one
	for file in services/*/*.[ch]; do
		service=${file#services/}
		service=${service%%/*}
		for one in $(includes_of "$file"); do
			check_outside_libraries "$file" "$one"
			check_service_include "$file" "$service" "$one"
		done
		one=${file##*/}
		check_own_header_first "$file" "${one%.c}.h"
	done
}

compile_header() # FILE LANGUAGE COMPILER ARGUMENT...
{
	local file=$1 language=$2 said
	shift 2
	said=$("$@" -fsyntax-only -Wall -Wextra -Werror -Ilibshared -Itests "-I${file%/*}" \
		-x "$language" - <<<"#include \"$PWD/$file\"" 2>&1) && return 0
	fault "$file" "does not compile on its own as $language:"
	printf '%s\n' "$said" | head -n 5
}

check_headers()
{
	local file cc=${CC:-cc} cxx=${CXX:-c++}
	for file in libshared/*/*.h services/*/*.h tests/support/*.h; do
		compile_header "$file" c "$cc" -std=c11 -D_GNU_SOURCE
	done
	file=libshared/client/restante.h
	[[ -f $file ]] || return 0
	# What other people compile: any C since C99, and C++.
	compile_header "$file" c "$cc" -std=c99 -pedantic
	if command -v "$cxx" >/dev/null; then
		compile_header "$file" c++ "$cxx" -std=c++11 -pedantic
	fi
}

check_tree() # DIR
{
	cd "$1"
	shopt -s nullglob
	faults=0
	check_layers
	check_services
	check_headers
	((faults == 0))
}

# --- self-test ---

# Each line: file to plant | its text | what must be said about it.
faulty_files()
{
	cat <<'CASES'
libshared/base/up.c|#include "wire/w.h"|base/ may include base only
libshared/wire/up.c|#include "session/s.h"|wire/ may include base, wire only
libshared/session/up.h|#include "net/n.h"|session/ may include base, wire, crypto, session only
libshared/client/up.c|#include "net/n.h"|client/ may include
libshared/extra/x.c|int x;|is not in the table
libshared/base/near.c|#include "b.h"|is not written relative to libshared/
libshared/base/gone.c|#include "base/gone_away.h"|does not exist
libshared/session/loop.c|#include <ev.h>|belongs in net/, rds/, app/ and the services
libshared/net/redis.c|#include <hiredis/hiredis.h>|belongs in rds/
services/mb/redis.c|#include <hiredis/async.h>|belongs in rds/
services/mb/ssl.c|#include <openssl/evp.h>|belongs in crypto/ and net/tls.c
libshared/net/udp.c|#include <openssl/ssl.h>|belongs in crypto/ and net/tls.c
libshared/wire/io.c|#include <sys/socket.h>|does no input or output
libshared/session/clock.c|#include "base/clock.h"|does no input or output
libshared/session/now.c|long f(void) { return time (0); }|time(): session/ does no input
libshared/session/chance.c|int f(char *p) { return getrandom(p, 1, 0); }|getrandom(): session/ does
libshared/wire/heap.c|void *f(void) { return malloc(1); }|malloc(): wire/ allocates nothing
libshared/wire/w.c|#include <stddef.h>|its first include is <stddef.h>
services/mb/m.c|#include "base/b.h"|its first include is "base/b.h"
services/mb/other.c|#include "dc/d.h"|never another service
services/mb/climb.c|#include "../dc/d.h"|climbs out of its folder
libshared/base/alone.h|size_t f(void);|does not compile on its own as c
libshared/client/restante.h|int f(int class);|does not compile on its own as c++
CASES
}

# A small tree without a fault; it also has what must not be taken for one.
plant_good_tree() # DIR
{
	local layer
	for layer in $EVERY_LAYER; do
		mkdir -p "$1/libshared/$layer"
	done
	mkdir -p "$1/services/mb" "$1/services/dc" "$1/tests/support"
	for layer in base wire session net; do
		echo "int ${layer}_f(void);" >"$1/libshared/$layer/${layer:0:1}.h"
	done
	echo 'int restante_f(void);' >"$1/libshared/client/restante.h"
	cat >"$1/libshared/session/fine.c" <<'CODE'
#include "base/b.h"
/* time() and socket() in a comment, and
   malloc() in the next line of it */
struct f { int (*send)(void); };
int g(struct f *f, int (*client_send)(void));
int g(struct f *f, int (*client_send)(void)) { return f->send() + client_send() + "time(0)"[0]; }
CODE
	printf '#include "wire/w.h"\n#include "base/b.h"\n' >"$1/libshared/wire/w.c"
	printf '#include "d.h"\n#include "net/n.h"\n#include <ev.h>\n' >"$1/services/dc/d.c"
	echo 'int d_f(void);' | tee "$1/services/dc/d.h" >"$1/services/mb/m.h"
}

self_test()
{
	local dir said file text expected wrong=0 cases=0
	dir=$(mktemp -d "${TMPDIR:-/tmp}/rs-layers-XXXXXX")
	trap "rm -rf '$dir'" EXIT
	plant_good_tree "$dir/good"
	if ! said=$(check_tree "$dir/good"); then
		printf 'faults found where there are none:\n%s\n' "$said"
		wrong=1
	fi
	while IFS='|' read -r file text expected; do
		[[ $expected != *"as c++" ]] || command -v "${CXX:-c++}" >/dev/null || continue
		cases=$((cases + 1))
		rm -rf "$dir/bad"
		cp -r "$dir/good" "$dir/bad"
		mkdir -p "$dir/bad/${file%/*}"
		printf '%s\n' "$text" >"$dir/bad/$file"
		if said=$(check_tree "$dir/bad"); then
			printf 'not found: %s in %s\n' "$text" "$file"
			wrong=1
		elif [[ $said != *"$expected"* ]]; then
			printf '%s in %s: said "%s" instead of "%s"\n' "$text" "$file" "$said" "$expected"
			wrong=1
		fi
	done < <(faulty_files)
	((wrong == 0)) && printf 'all %d planted faults were found\n' "$cases"
}

case ${1:-} in
--self-test) self_test ;;
'' | -*) echo "usage: $0 DIR | --self-test" >&2; exit 2 ;;
*) check_tree "$1" && echo "the layers are in order" ;;
esac
