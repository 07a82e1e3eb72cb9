# SPDX-License-Identifier: Apache-2.0
# Writes a C file with the Lua scripts, byte for byte, and their SHA-1:
#   cmake -DOUT=scripts_embedded.c "-DSCRIPTS=a.lua;b.lua" -P embed_scripts.cmake
# The files must be those that enum script_id of scripts.h names, no more, no less.
# A line "--@include NAME" stands for the file include/NAME.lua beside them.
cmake_minimum_required(VERSION 3.25)

file(READ "${CMAKE_CURRENT_LIST_DIR}/scripts.h" header)
string(REGEX MATCHALL "SCRIPT_[A-Z0-9_]+" ids "${header}")
list(REMOVE_DUPLICATES ids)
list(REMOVE_ITEM ids SCRIPT_COUNT)
list(TRANSFORM ids REPLACE "^SCRIPT_" "" OUTPUT_VARIABLE wanted)
list(TRANSFORM wanted TOLOWER)

set(names "")
foreach(path IN LISTS SCRIPTS)
  cmake_path(GET path STEM name)
  list(APPEND names "${name}")
  set(path_of_${name} "${path}")
endforeach()

set(lacking ${wanted})
list(REMOVE_ITEM lacking ${names})
set(unknown ${names})
list(REMOVE_ITEM unknown ${wanted})
if(lacking OR unknown)
  message(FATAL_ERROR "lua/ and enum script_id in rds/scripts.h differ: "
                      "no file for [${lacking}], no enum for [${unknown}]")
endif()

set(arrays "")
set(table "")
foreach(name IN LISTS wanted)
  set(path "${path_of_${name}}")
  file(READ "${path}" source)
  cmake_path(GET path PARENT_PATH folder)
  string(REGEX MATCHALL "--@include [a-z_]+\n" includes "${source}")
  foreach(line IN LISTS includes)
    string(REGEX REPLACE "--@include ([a-z_]+)\n" "\\1" part "${line}")
    file(READ "${folder}/include/${part}.lua" text)
    string(REPLACE "--@include ${part}\n" "${text}" source "${source}")
  endforeach()
  file(WRITE "${OUT}.lua" "${source}")
  file(READ "${OUT}.lua" hex HEX)
  file(SHA1 "${OUT}.lua" sha1)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)"
                       "\\1\n\t" bytes "${bytes}")
  string(TOUPPER "${name}" id)
  string(APPEND arrays "static const char ${name}[] = {\n\t${bytes}0x00};\n\n")
  string(APPEND table "\t[SCRIPT_${id}] = {\"${name}\", ${name}, sizeof ${name} - 1, \"${sha1}\"},\n")
endforeach()
list(LENGTH wanted count)

file(WRITE "${OUT}.new" "/* SPDX-License-Identifier: Apache-2.0 */
/* Made from the files of lua/ by embed_scripts.cmake; changes here are lost. */
#include \"rds/scripts.h\"

${arrays}_Static_assert(SCRIPT_COUNT == ${count}, \"scripts.h has changed: embed again\");

const struct script scripts[SCRIPT_COUNT] = {
${table}};
")
file(REMOVE "${OUT}.lua")
file(RENAME "${OUT}.new" "${OUT}")
