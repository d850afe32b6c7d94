/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "TinyMLDeltaSerial.h"

int TinyMLDeltaSerial::start(Stream &stream, const struct tmd_store_config &config, size_t bytes)
{
	if (bytes != sizeof(serial_)) {
		return TMD_ERR_ARGUMENT; /* TMD_SERIAL_PIECE */
	}
	stream_ = &stream;
	return tmd_serial_begin(&serial_, &config);
}

int TinyMLDeltaSerial::open()
{
	return tmd_serial_open(&serial_);
}

int TinyMLDeltaSerial::confirm()
{
#if TMD_TRIAL
	return tmd_store_confirm(&serial_.store);
#else
	return TMD_ERR_STATE;
#endif
}

void TinyMLDeltaSerial::poll()
{
	while (stream_->available() > 0) {
		const int byte = stream_->read();

		if (byte < 0) {
			return;
		}
		const uint32_t n = tmd_serial_take(&serial_, (uint8_t)byte, (uint32_t)millis());

		if (n > 0u) {
			(void)stream_->write(serial_.reply, n);
		}
	}
}
