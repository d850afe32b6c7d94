# SPDX-License-Identifier: Apache-2.0
#
# tmd_monocypher(<sources> <folders>): Monocypher's files, and the folders of their headers, from
# TMD_MONOCYPHER_DIR, from the module monocypher, or from where a manifest would put it. In each the
# files may lie as in Monocypher's repository or side by side. Ends with an error if they are not there.
function(tmd_monocypher sources folders)
  set(roots "")
  if(TMD_MONOCYPHER_DIR)
    get_filename_component(root "${TMD_MONOCYPHER_DIR}" ABSOLUTE BASE_DIR "${APPLICATION_SOURCE_DIR}")
    list(APPEND roots "${root}")
  else()
    if(ZEPHYR_MONOCYPHER_MODULE_DIR)
      list(APPEND roots "${ZEPHYR_MONOCYPHER_MODULE_DIR}")
    endif()
    if(WEST_TOPDIR)
      list(APPEND roots "${WEST_TOPDIR}/modules/crypto/monocypher")
    endif()
  endif()
  set(found "")
  set(where "")
  foreach(name monocypher.c monocypher-ed25519.c)
    set(file "")
    foreach(root IN LISTS roots)
      foreach(below src src/optional optional .)
        if(NOT file AND EXISTS "${root}/${below}/${name}")
          get_filename_component(file "${root}/${below}/${name}" ABSOLUTE)
        endif()
      endforeach()
    endforeach()
    if(NOT file)
      string(REPLACE ";" ", " looked "${roots}")
      message(FATAL_ERROR "CONFIG_TMD_CRYPTO_MONOCYPHER: no ${name} in: ${looked}\n"
                          "Add Monocypher 4 to the manifest of your workspace, with the path "
                          "modules/crypto/monocypher, and run `west update`; or name its folder: "
                          "-DTMD_MONOCYPHER_DIR=<folder>")
    endif()
    get_filename_component(folder "${file}" DIRECTORY)
    list(APPEND found "${file}")
    list(APPEND where "${folder}")
  endforeach()
  list(REMOVE_DUPLICATES where)
  set(${sources} "${found}" PARENT_SCOPE)
  set(${folders} "${where}" PARENT_SCOPE)
endfunction()
