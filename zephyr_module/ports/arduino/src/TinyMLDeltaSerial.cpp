/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "TinyMLDeltaSerial.h"

void TinyMLDeltaSerial::need(Stream &stream, const char *wrong, const char *about)
{
	while (wrong != nullptr) {
		stream.print(about);
		stream.print(": ");
		stream.println(wrong);
		delay(1000);
	}
}

int TinyMLDeltaSerial::mount(Stream &stream, const struct tmd_store_config &config, size_t bytes)
{
	if (bytes != sizeof(serial_)) {
		return TMD_ERR_ARGUMENT; /* TMD_SERIAL_PIECE */
	}
	stream_ = &stream;
	return tmd_serial_begin(&serial_, &config);
}

int TinyMLDeltaSerial::open()
{
	const int status = tmd_serial_open(&serial_);

	told_ = serial_.opened;
	return status;
}

int TinyMLDeltaSerial::confirm()
{
#if TMD_TRIAL
	return tmd_store_confirm(&serial_.store);
#else
	return TMD_ERR_STATE;
#endif
}

/* Is there a byte now, or in so many milliseconds? */
bool TinyMLDeltaSerial::comes_within(uint32_t milliseconds) const
{
	const uint32_t since = (uint32_t)millis();

	while (stream_->available() <= 0) {
		if ((uint32_t)millis() - since >= milliseconds) {
			return false;
		}
	}
	return true;
}

bool TinyMLDeltaSerial::poll()
{
	uint32_t stay = 0; /* for what has been waited for in vain already, not again */

	while (comes_within(stay)) {
		const int byte = stream_->read();

		if (byte < 0) {
			break;
		}
		const uint32_t n = tmd_serial_take(&serial_, (uint8_t)byte, (uint32_t)millis());

		if (n > 0u) {
			(void)stream_->write(serial_.reply, n);
		}
		stay = tmd_serial_waits(&serial_) ? TMD_SERIAL_STAY : 0u;
	}
	const bool is_another = serial_.opened != told_;

	told_ = serial_.opened;
	return is_another;
}
