# SPDX-License-Identifier: Apache-2.0
#
# Gives an application the flash layout that TinyMLDelta has for its board. In CMakeLists.txt:
#
#	include(<TinyMLDelta>/zephyr_module/cmake/tmd_boards.cmake)
#	find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})
#
# It comes before find_package(Zephyr), which reads the overlays. `west build -S tinymldelta` does
# the same without a line in CMakeLists.txt. Both have their table of boards from snippet.yml.
#
# The files go in front of what the user has in EXTRA_DTC_OVERLAY_FILE and EXTRA_CONF_FILE, so that
# the user has the last word. DTC_OVERLAY_FILE and CONF_FILE are left alone: once set, they keep
# Zephyr from finding the application's own boards/<board>.overlay and prj.conf. An application
# with a node "tinymldelta,model" in an overlay of its own has its own layout, and gets no other.

# Not cmake_minimum_required: the application's own is the one that counts.
cmake_policy(VERSION 3.20...3.31)

# Of all places where Zephyr takes BOARD from, the one that it takes: as the user wrote it, that is
# <board>[@<revision>][/<qualifiers>]. Empty if there is none; Zephyr then says so.
function(tmd_find_board out)
  set(from_sysbuild "")
  if(SYSBUILD AND EXISTS "${SYSBUILD_CACHE}")
    file(STRINGS "${SYSBUILD_CACHE}" entry REGEX "^BOARD:[A-Z]+=" LIMIT_COUNT 1)
    string(REGEX REPLACE "^[^=]*=" "" from_sysbuild "${entry}")
  endif()
  set(board "")
  foreach(given IN ITEMS "${CACHED_BOARD}" "${from_sysbuild}" "$CACHE{BOARD}" "$ENV{BOARD}"
                         "${BOARD}")
    if(NOT board)
      set(board "${given}")
    endif()
  endforeach()
  if(NOT ZEPHYR_BOARD_ALIASES)
    set(ZEPHYR_BOARD_ALIASES "$ENV{ZEPHYR_BOARD_ALIASES}")
  endif()
  if(EXISTS "${ZEPHYR_BOARD_ALIASES}")
    include("${ZEPHYR_BOARD_ALIASES}")
    if(${board}_BOARD_ALIAS)
      set(board "${${board}_BOARD_ALIAS}")
    endif()
  endif()
  set(${out} "${board}" PARENT_SCOPE)
endfunction()

# The overlay and the .conf that snippet.yml names for a board; empty if it names none. Only that
# file's own way of writing is understood, which tests/boards holds it to.
function(tmd_find_board_files board out_overlay out_conf)
  set(snippet "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../snippets/tinymldelta")
  set(overlay "")
  set(conf "")
  # Revisions share a layout. <board>//<variant> leaves out the SoC of a board that has one.
  string(REGEX REPLACE "@[^/]*" "" board "${board}")
  string(REPLACE "//" "/" board "${board}")
  set(this_board FALSE)
  file(STRINGS "${snippet}/snippet.yml" lines ENCODING UTF-8)
  foreach(line IN LISTS lines)
    if(line MATCHES "^  /(.*)/:$")
      set(this_board FALSE)
      if(board MATCHES "^${CMAKE_MATCH_1}$")
        set(this_board TRUE)
      endif()
    elseif(this_board AND line MATCHES "^      EXTRA_(DTC_OVERLAY|CONF)_FILE: (.+)$")
      set(kind "${CMAKE_MATCH_1}")
      get_filename_component(file "${CMAKE_MATCH_2}" ABSOLUTE BASE_DIR "${snippet}")
      if(kind STREQUAL "CONF")
        set(conf "${file}")
      else()
        set(overlay "${file}")
      endif()
    endif()
  endforeach()
  set(${out_overlay} "${overlay}" PARENT_SCOPE)
  set(${out_conf} "${conf}" PARENT_SCOPE)
endfunction()

# The first overlay of the application, or of the user's command line, that has a model node.
function(tmd_find_own_layout board out)
  set(folder "${CMAKE_CURRENT_SOURCE_DIR}")
  if(APPLICATION_CONFIG_DIR)
    get_filename_component(folder "${APPLICATION_CONFIG_DIR}" ABSOLUTE)
  endif()
  set(overlays "${DTC_OVERLAY_FILE}")
  if(NOT overlays)
    # Zephyr takes boards/<board>.overlay, with or without SoC, qualifiers and revision behind the
    # name. Which of them exist for this board is known only later, so look into all.
    string(REGEX REPLACE "[@/].*" "" name "${board}")
    file(GLOB overlays "${folder}/boards/${name}.overlay" "${folder}/boards/${name}_*.overlay")
    list(APPEND overlays "${folder}/${name}.overlay" "${folder}/app.overlay")
  endif()
  list(APPEND overlays ${EXTRA_DTC_OVERLAY_FILE})
  string(REPLACE " " ";" overlays "${overlays}")
  set(own "")
  foreach(overlay IN LISTS overlays)
    get_filename_component(overlay "${overlay}" ABSOLUTE)
    if(EXISTS "${overlay}" AND NOT IS_DIRECTORY "${overlay}")
      file(STRINGS "${overlay}" found REGEX "\"tinymldelta,model\"" LIMIT_COUNT 1)
      if(found)
        set(own "${overlay}")
        break()
      endif()
    endif()
  endforeach()
  set(${out} "${own}" PARENT_SCOPE)
endfunction()

function(tmd_add_board_files)
  string(REPLACE " " ";" snippets "${SNIPPET}")
  tmd_find_board(board)
  if(NOT board OR "tinymldelta" IN_LIST snippets)
    return()
  endif()
  tmd_find_own_layout("${board}" own)
  if(own)
    message(STATUS "TinyMLDelta: the flash layout is the application's own: ${own}")
    return()
  endif()
  tmd_find_board_files("${board}" overlay conf)
  if(NOT overlay)
    get_filename_component(boards "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../boards" ABSOLUTE)
    message(NOTICE
      "TinyMLDelta has no flash layout for the board '${board}'. Unless the board's devicetree has "
      "the node tmd_model, write an overlay for it:\n"
      "  copy ${boards}/native_sim/native_sim.overlay to boards/<board>.overlay in the\n"
      "  application, name the board's flash, and put the regions where no other partition is.\n"
      "${boards}/README.md says more.")
    return()
  endif()
  message(STATUS "TinyMLDelta: the flash layout for '${board}' is ${overlay}")
  set(EXTRA_DTC_OVERLAY_FILE "${overlay}" ${EXTRA_DTC_OVERLAY_FILE})
  set(EXTRA_DTC_OVERLAY_FILE "${EXTRA_DTC_OVERLAY_FILE}" PARENT_SCOPE)
  if(conf)
    set(EXTRA_CONF_FILE "${conf}" ${EXTRA_CONF_FILE})
    set(EXTRA_CONF_FILE "${EXTRA_CONF_FILE}" PARENT_SCOPE)
  endif()
endfunction()

tmd_add_board_files()
