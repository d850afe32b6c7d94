# tmd_strict(<target>): the house rules for C, with the sanitizers and word size that were asked for.
function(tmd_strict target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11
    C_STANDARD_REQUIRED ON
    C_EXTENSIONS OFF
    POSITION_INDEPENDENT_CODE ON
  )
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Werror)
  if(TMD_SANITIZE)
    set(flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PUBLIC ${flags})
  endif()
  if(TMD_M32)
    target_compile_options(${target} PRIVATE -m32)
    target_link_options(${target} PUBLIC -m32)
  endif()
endfunction()
