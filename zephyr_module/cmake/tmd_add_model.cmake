# SPDX-License-Identifier: Apache-2.0
#
# tmd_add_model(<target> NAME <name> MODEL <file>
#               [ARENA <bytes>] [ARENA_NEED <bytes>]
#               [VERSION <version>] [LOWEST_VERSION <version>]
#               [NODE <label>] [RESOLVER <file>] [FACTORY]
#               [EXTRA_OPS <operator>...] [NOTE <text>] [LABELS <file>])
#
# Builds a model into a firmware. From it and the devicetree, `struct tmd_zephyr_model tmd_<name>` is
# generated (tmd_models.h), the contract that patches are judged by (tmd_contract.h, contract.json),
# the resolver with the operators of all models (tmd_op_resolver.h), and the model as an array. They lie
# in <build folder>/tinymldelta, with the base models and models.json, where the west commands find
# them. All is generated at build time: what depends on a model is rebuilt when its content changes.
#
#   NAME            a to z, 0 to 9 and _; one for each model
#   MODEL           the .tflite that the firmware is built with
#   ARENA           what the application reserves as tensor arena, in TMD_ARENA_<NAME>_BYTES; left
#                   out: what the model needs
#   ARENA_NEED      what the model needs, as measured; left out: as predicted, or, where that cannot
#                   be done, an error that says how to measure
#   VERSION         of that model, like 1.2.3; LOWEST_VERSION: lowest that an update may have
#   NODE            label of the devicetree node "tinymldelta,model"; left out: tmd_model
#   RESOLVER        C++ in which the application registers operators by itself, to be checked
#   FACTORY         do not link the model in: slot 0 holds it when the device leaves the factory
#   EXTRA_OPS       operators for models to come, as the schema spells them, like TANH; the generated
#                   resolver registers them too, and patches for any model may need them
#   NOTE            what the device tells of the model, such as its training run; 96 bytes
#   LABELS          names of its classes, which the device tells, one in each line of the file
function(tmd_add_model target)
  set(single NAME MODEL ARENA ARENA_NEED VERSION LOWEST_VERSION NODE RESOLVER NOTE LABELS)
  cmake_parse_arguments(PARSE_ARGV 1 arg "FACTORY" "${single}" "EXTRA_OPS")
  if(NOT TARGET "${target}")
    message(FATAL_ERROR "tmd_add_model: there is no target '${target}': call it behind "
                        "find_package(Zephyr), with the target that uses the model: app")
  endif()
  if(DEFINED arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tmd_add_model: it knows no '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(DEFINED arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "tmd_add_model: ${arg_KEYWORDS_MISSING_VALUES} has no value")
  endif()
  foreach(required NAME MODEL)
    if(NOT arg_${required})
      message(FATAL_ERROR "tmd_add_model: ${required} is missing: "
                          "tmd_add_model(${target} NAME <name> MODEL <file.tflite>)")
    endif()
  endforeach()
  if(NOT CONFIG_TINYMLDELTA)
    message(FATAL_ERROR "tmd_add_model: CONFIG_TINYMLDELTA is off: set CONFIG_TINYMLDELTA=y, "
                        "CONFIG_FLASH=y and CONFIG_FLASH_MAP=y in prj.conf")
  endif()
  if(NOT arg_NODE)
    set(arg_NODE tmd_model)
  endif()
  foreach(file MODEL RESOLVER LABELS)
    if(arg_${file})
      get_filename_component(arg_${file} "${arg_${file}}" ABSOLUTE)
      if(NOT EXISTS "${arg_${file}}")
        message(FATAL_ERROR "tmd_add_model(${arg_NAME}): ${file} ${arg_${file}} does not exist")
      endif()
    endif()
  endforeach()

  get_property(models TARGET ${target} PROPERTY TMD_MODELS)
  if(NOT models)
    set(models "[]")
    # Behind the last call, when all models are known: a firmware has one contract. A deferred
    # call reads variables only then, when ${target} is gone.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL tmd_generate_models [[${target}]])")
  endif()
  get_property(names TARGET ${target} PROPERTY TMD_NAMES)
  if(arg_NAME IN_LIST names)
    message(FATAL_ERROR "tmd_add_model(${arg_NAME}): there is a model of that name already: give "
                        "each its own NAME")
  endif()
  set_property(TARGET ${target} APPEND PROPERTY TMD_NAMES "${arg_NAME}")
  string(JSON count LENGTH "${models}")
  list(JOIN arg_EXTRA_OPS " " arg_EXTRA_OPS)
  set(model "{}")
  foreach(field NAME ARENA ARENA_NEED VERSION LOWEST_VERSION NODE RESOLVER FACTORY EXTRA_OPS NOTE
                LABELS)
    string(TOLOWER ${field} key)
    tmd_json_set(model ${key} "${arg_${field}}")
  endforeach()
  tmd_json_set(model file "${arg_MODEL}")
  if(arg_FACTORY)
    tmd_json_set(model factory ON)
  endif()
  string(JSON models SET "${models}" ${count} "${model}")
  set_property(TARGET ${target} PROPERTY TMD_MODELS "${models}")
endfunction()

# Set a text of a JSON object.
function(tmd_json_set variable key text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n" text "${text}")
  string(JSON object SET "${${variable}}" ${key} "\"${text}\"")
  set(${variable} "${object}" PARENT_SCOPE)
endfunction()

# The files that CONFIG_TMD_<option> names, as a list of whole paths.
function(tmd_key_files variable option)
  separate_arguments(names UNIX_COMMAND "${CONFIG_TMD_${option}}")
  set(folder "${APPLICATION_SOURCE_DIR}")
  if(NOT folder)
    set(folder "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  set(files "")
  foreach(name IN LISTS names)
    get_filename_component(file "${name}" ABSOLUTE BASE_DIR "${folder}")
    if(NOT EXISTS "${file}" OR IS_DIRECTORY "${file}")
      message(FATAL_ERROR "CONFIG_TMD_${option}: ${file} does not exist: make a key with "
                          "`tmd keygen`, and name the file of its public part, relative to the "
                          "application")
    endif()
    list(APPEND files "${file}")
  endforeach()
  set(${variable} "${files}" PARENT_SCOPE)
endfunction()

# Generate everything for the models of a target, and add it to the target.
function(tmd_generate_models target)
  get_property(models TARGET ${target} PROPERTY TMD_MODELS)
  set(out "${CMAKE_BINARY_DIR}/tinymldelta")
  get_filename_component(package "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../codegen/src" ABSOLUTE)
  set(edt "${EDT_PICKLE}")
  if(NOT edt)
    set(edt "${CMAKE_BINARY_DIR}/zephyr/edt.pickle")
  endif()
  if(CONFIG_TMD_DECODER_NONE)
    set(decoder NONE)
  elseif(CONFIG_TMD_DECODER_LEAN)
    set(decoder LEAN)
  else()
    set(decoder DEFAULT)
  endif()

  # The sources of the TensorFlow Lite Micro that is linked. Of one that the application brings itself
  # nothing is known but what CONFIG_TMD_TFLM says.
  set(tflm_folder "")
  if(CONFIG_TENSORFLOW_LITE_MICRO)
    set(tflm_folder "${ZEPHYR_TFLITE_MICRO_MODULE_DIR}")
  endif()

  tmd_key_files(public_keys PUBLIC_KEYS)
  tmd_key_files(decryption_keys DECRYPTION_KEYS)

  # The build would end in a traceback.
  execute_process(
    COMMAND "${PYTHON_EXECUTABLE}" -c "import flatbuffers, jinja2, numpy, tflite"
    RESULT_VARIABLE failed ERROR_VARIABLE error OUTPUT_QUIET
  )
  if(failed)
    get_filename_component(needs "${package}/../../requirements/zephyr.txt" ABSOLUTE)
    string(REGEX MATCH "[^\n]*Error[^\n]*" error "${error}")
    message(FATAL_ERROR "tmd_add_model: the Python that builds Zephyr lacks a package (${error}): "
                        "${PYTHON_EXECUTABLE} -m pip install -r ${needs}")
  endif()

  set(request "{}")
  string(JSON request SET "${request}" models "${models}")
  tmd_json_set(request edt "${edt}")
  tmd_json_set(request package "${package}")
  tmd_json_set(request zephyr_base "${ZEPHYR_BASE}")
  tmd_json_set(request decoder ${decoder})
  tmd_json_set(request tflm_folder "${tflm_folder}")
  tmd_json_set(request cmsis_nn "${CONFIG_TENSORFLOW_LITE_MICRO_CMSIS_NN_KERNELS}")
  tmd_json_set(request sram_size "${CONFIG_SRAM_SIZE}")
  foreach(option FORMAT_1 ACCEPT_UNGUARDED ACCEPT_NO_DIGEST OTHER_KERNELS_WARN OTHER_KERNELS_TAKE
                 FREE_QUANTISATION COMPARE_TENSOR_NAMES TFLM META_KEPT WARN_PERCENT STAGING
                 ERASE_BYTES WRITE_BYTES WRITE_BUFFER VERIFY MAC_KEYS ANTI_ROLLBACK DECRYPT
                 DEVICE_CLASS)
    string(TOLOWER ${option} key)
    tmd_json_set(request ${key} "${CONFIG_TMD_${option}}")
  endforeach()
  foreach(list public_keys decryption_keys)
    string(JSON request SET "${request}" ${list} "[]")
    set(count 0)
    foreach(file IN LISTS ${list})
      string(JSON request SET "${request}" ${list} ${count} "\"${file}\"")
      math(EXPR count "${count} + 1")
    endforeach()
  endforeach()
  file(GENERATE OUTPUT "${out}/request.json" CONTENT "${request}\n")

  set(made contract.json models.json tmd_contract.h tmd_op_resolver.h tmd_models.h tmd_models.c)
  set(sources tmd_models.c)
  set(inputs "${out}/request.json" "${edt}" ${public_keys} ${decryption_keys})
  string(JSON count LENGTH "${models}")
  math(EXPR last "${count} - 1")
  foreach(i RANGE ${last})
    string(JSON name GET "${models}" ${i} name)
    string(JSON file GET "${models}" ${i} file)
    string(JSON factory GET "${models}" ${i} factory)
    string(JSON labels GET "${models}" ${i} labels)
    list(APPEND made ${name}.tflite)
    list(APPEND inputs "${file}" ${labels})
    if(NOT factory)
      list(APPEND made tmd_model_${name}.h tmd_model_${name}.c)
      list(APPEND sources tmd_model_${name}.c)
    endif()
  endforeach()
  list(TRANSFORM made PREPEND "${out}/")
  list(TRANSFORM sources PREPEND "${out}/")

  # The stamp is new after each run; the others only where they changed, which ninja looks at.
  # Of what the generator consists it says itself, in codegen.d.
  add_custom_command(
    OUTPUT "${out}/codegen.stamp"
    BYPRODUCTS ${made}
    COMMAND ${CMAKE_COMMAND} -E env "PYTHONPATH=${package}" PYTHONDONTWRITEBYTECODE=1
            "${PYTHON_EXECUTABLE}" -m tinymldelta.firmware "${out}/request.json"
    DEPENDS ${inputs}
    DEPFILE "${out}/codegen.d"
    COMMENT "Generating contract and code from the models of ${target}"
    VERBATIM
  )
  add_custom_target(tmd_codegen_${target} DEPENDS "${out}/codegen.stamp")
  add_dependencies(${target} tmd_codegen_${target})
  target_sources(${target} PRIVATE ${sources})
  target_include_directories(${target} PRIVATE "${out}")
endfunction()
