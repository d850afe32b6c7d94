/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A store that is updated over a serial port, for sketches:
 *
 *	static TinyMLDeltaSerial device;
 *
 *	device.start(Serial, config)       in setup(); then device.model() is the model to run
 *	if (device.poll()) use_model();    in loop(), between two inferences
 *
 * While poll() runs the model may become another. It then returns true, and an interpreter that was made
 * for the one before has to be made again. What the PC says is in tmd_serial.h. It takes 7 KB of RAM
 * with the default decoder, so it wants to be a static variable.
 */
#ifndef TINYMLDELTA_SERIAL_H
#define TINYMLDELTA_SERIAL_H

#include <Arduino.h>

#include <tinymldelta/status.h>

#include "tmd_library.h"
#include "tmd_serial.h"

class TinyMLDeltaSerial {
public:
	/*
	 * begin() and open(), for sketches that can do nothing without a model: if one of them fails
	 * this does not return, and says why on `stream` each second. Stream and config outlive this.
	 */
	void start(Stream &stream, const struct tmd_store_config &config)
	{
		int status = begin(stream, config);

		if (status == TMD_OK) {
			status = open();
		}
		need(stream, status == TMD_OK ? nullptr : tmd_status_text(status));
	}

	/*
	 * Go on if nothing is wrong: `wrong` is NULL, as what a port's init returns. Else say it each
	 * second, with what it is about, and never return.
	 */
	static void need(Stream &stream, const char *wrong, const char *about = "no model");

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
		return mount(stream, config, sizeof(struct tmd_serial));
	}

	/* Open the active model, and close the one that was open. A start of a model on trial counts. */
	int open();

	/*
	 * Answer what has come. Returns at once if nothing has; stays for the rest of a frame that has
	 * begun. True if the model has become another since open() or the last time; if it could not be
	 * opened, its length is 0, and no model may run. Not before begin() was TMD_OK.
	 */
	bool poll();

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

private:
	int mount(Stream &stream, const struct tmd_store_config &config, size_t bytes);
	bool comes_within(uint32_t milliseconds) const;

	Stream *stream_;
	uint32_t told_; /* of serial_.opened */
	struct tmd_serial serial_;
};

#endif /* TINYMLDELTA_SERIAL_H */
