/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Options of a library. Arduino compiles it apart from the sketch, and a #define in a sketch does not
 * reach it. What does:
 *
 *	PlatformIO        build_flags = -DTMD_DECODER=1
 *	ESP32, any IDE    a file build_opt.h beside the sketch, with -DTMD_DECODER=1 in it
 *	arduino-cli       --build-property compiler.c.extra_flags=-DTMD_DECODER=1
 *	                  --build-property compiler.cpp.extra_flags=-DTMD_DECODER=1
 *	everywhere        src/tmd_options.h of the library; bundle.py --option TMD_DECODER=1 writes it
 *
 * The options are those of tinymldelta/config.h. A sketch that was compiled with others than the
 * library would have structs of other sizes: tmd_library_fits tells, and TinyMLDeltaSerial refuses.
 */
#ifndef TMD_LIBRARY_H
#define TMD_LIBRARY_H

#include <tinymldelta/update.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All that the sizes and the meaning of structs depend on, as whoever includes this sees it. */
struct tmd_library {
	uint32_t store_bytes;
	uint32_t update_bytes;
	uint32_t options;
};

#define TMD_LIBRARY_OPTIONS                                                                        \
	((uint32_t)TMD_DECODER | (uint32_t)TMD_TRIAL << 2 | (uint32_t)TMD_SELF_TEST << 3 |         \
	 (uint32_t)TMD_RESUME << 4 | (uint32_t)TMD_STAGING << 5 |                                  \
	 (uint32_t)TMD_WITH_FORMAT_1 << 6 | (uint32_t)TMD_VERIFY << 7 |                            \
	 (uint32_t)TMD_DECRYPT << 8 | (uint32_t)TMD_TAKES_LEAN << 9 |                              \
	 (uint32_t)TMD_META_KEPT << 10 | (uint32_t)TMD_WRITE_BUFFER << 18)

/* How the library was compiled. */
struct tmd_library tmd_library_built(void);

/* Was it compiled with the options that the caller sees? */
static inline bool tmd_library_fits(void)
{
	const struct tmd_library built = tmd_library_built();

	return built.store_bytes == (uint32_t)sizeof(struct tmd_store) &&
	       built.update_bytes == (uint32_t)sizeof(struct tmd_update) &&
	       built.options == TMD_LIBRARY_OPTIONS;
}

#ifdef __cplusplus
}
#endif

#endif /* TMD_LIBRARY_H */
