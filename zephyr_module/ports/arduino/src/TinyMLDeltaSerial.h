/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A store that is updated over a serial port, for sketches:
 *
 *	static TinyMLDeltaSerial device;
 *
 *	device.begin(Serial, config)    in setup(): TMD_OK, or tmd_status_text says what is wrong
 *	device.open()                   then: device.model() is the model to run
 *	device.poll()                   in loop(), between two inferences
 *
 * While poll() runs the model may become another: opened() has then changed, and an interpreter that was
 * made for the one before has to be made again. What the PC says is in tmd_serial.h. It takes 7 KB of
 * RAM with the default decoder, so it wants to be a static variable.
 */
#ifndef TINYMLDELTA_SERIAL_H
#define TINYMLDELTA_SERIAL_H

#include <Arduino.h>

#include "tmd_library.h"
#include "tmd_serial.h"

class TinyMLDeltaSerial {
public:
	/*
	 * Mount the store, and answer on `stream` from now on. Stream and config outlive this object.
	 * TMD_ERR_ARGUMENT if the library was compiled with other options than the sketch.
	 */
	int begin(Stream &stream, const struct tmd_store_config &config)
	{
		/* Inline, to compare what the sketch sees with what the library was compiled with. */
		if (!tmd_library_fits()) {
			return TMD_ERR_ARGUMENT;
		}
		return start(stream, config, sizeof(struct tmd_serial));
	}

	/* Open the active model, and close the one that was open. A start of a model on trial counts. */
	int open();

	/* Answer what has come. Returns at once if nothing has. Not before begin() was TMD_OK. */
	void poll();

	const struct tmd_model &model() const
	{
		return serial_.model;
	}
	const struct tmd_store &store() const
	{
		return serial_.store;
	}
	/* It has run well: keep it (tmd_store_confirm). */
	int confirm();

	uint32_t opened() const
	{
		return serial_.opened;
	}

private:
	int start(Stream &stream, const struct tmd_store_config &config, size_t bytes);

	Stream *stream_;
	struct tmd_serial serial_;
};

#endif /* TINYMLDELTA_SERIAL_H */
