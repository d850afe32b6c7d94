# The encoder of format 2's body, in codegen/native. For the Python package, and for tests of the C.
set(TMD_ENCODER_SOURCES coder.c encoder.c gains.c gaps.c match.c operations.c)
list(TRANSFORM TMD_ENCODER_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
