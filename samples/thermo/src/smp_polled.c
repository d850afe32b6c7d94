/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * SMP over a UART without interrupts. native_sim's pseudo-terminals have none in Zephyr 3.4, and
 * mcumgr's own UART transport wants them. Framing, checks and base64 are mcumgr's.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/mgmt/mcumgr/transport/serial.h>
#include <zephyr/mgmt/mcumgr/transport/smp.h>

#include <mgmt/mcumgr/transport/smp_internal.h>

#define POLL_MS 1
#define STACK_BYTES 1024

static const struct device *const uart = DEVICE_DT_GET(DT_CHOSEN(zephyr_uart_mcumgr));

static struct smp_transport transport;
static struct mcumgr_serial_rx_ctxt received;
static uint8_t line[MCUMGR_SERIAL_MAX_FRAME];
static size_t line_bytes;
static bool line_too_long;

static int send_raw(const void *data, int bytes)
{
	const uint8_t *at = data;

	for (int i = 0; i < bytes; i++) {
		uart_poll_out(uart, at[i]);
	}
	return 0;
}

static int send_packet(struct net_buf *packet)
{
	int err = mcumgr_serial_tx_pkt(packet->data, packet->len, send_raw);

	smp_packet_free(packet);
	return err;
}

static uint16_t get_mtu(const struct net_buf *packet)
{
	ARG_UNUSED(packet);
	return CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE;
}

/* A line is one frame; a line that is no frame is dropped by mcumgr. */
static void end_line(void)
{
	struct net_buf *packet = NULL;

	if (!line_too_long) {
		packet = mcumgr_serial_process_frag(&received, line, (int)line_bytes);
	}
	line_bytes = 0;
	line_too_long = false;
	if (packet != NULL) {
		smp_rx_req(&transport, packet);
	}
}

static void take(unsigned char c)
{
	if (c == '\n') {
		end_line();
	} else if (line_bytes < sizeof(line)) {
		line[line_bytes++] = c;
	} else {
		line_too_long = true;
	}
}

static void poll(void *a, void *b, void *c)
{
	unsigned char byte;

	ARG_UNUSED(a);
	ARG_UNUSED(b);
	ARG_UNUSED(c);
	for (;;) {
		while (uart_poll_in(uart, &byte) == 0) {
			take(byte);
		}
		k_msleep(POLL_MS);
	}
}

K_THREAD_STACK_DEFINE(poll_stack, STACK_BYTES);
static struct k_thread poll_thread;

static int start(void)
{
	int err;

	if (!device_is_ready(uart)) {
		return -ENODEV;
	}
	transport.functions.output = send_packet;
	transport.functions.get_mtu = get_mtu;
	err = smp_transport_init(&transport);
	if (err == 0) {
		k_thread_create(&poll_thread, poll_stack, K_THREAD_STACK_SIZEOF(poll_stack), poll,
				NULL, NULL, NULL, K_PRIO_PREEMPT(5), 0, K_NO_WAIT);
	}
	return err;
}

SYS_INIT(start, APPLICATION, CONFIG_APPLICATION_INIT_PRIORITY);
