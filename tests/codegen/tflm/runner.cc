// SPDX-License-Identifier: Apache-2.0
// Runs every model of a folder with TFLM's reference kernels, each in a process of its own: some
// kernels abort. Prints what run_models.py prints. REGISTER_ALL and REPORTER are made by
// kernel_builds.py for a revision.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "generated.h"

alignas(16) static uint8_t arena[1 << 20];
alignas(16) static char model[1 << 16];

static bool runs(const std::filesystem::path &path)
{
	std::ifstream(path, std::ios::binary).read(model, sizeof(model));
	tflite::MicroMutableOpResolver<200> resolver;
	REGISTER_ALL(resolver);
	tflite::MicroInterpreter interpreter(tflite::GetModel(model), resolver, arena,
					     sizeof(arena) REPORTER);
	return interpreter.AllocateTensors() == kTfLiteOk && interpreter.Invoke() == kTfLiteOk;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		return 2;
	}
	std::vector<std::filesystem::path> paths;
	for (const auto &entry : std::filesystem::directory_iterator(argv[1])) {
		paths.push_back(entry.path());
	}
	std::sort(paths.begin(), paths.end());
	for (const auto &path : paths) {
		fflush(stdout);
		const pid_t process = fork();
		if (process == 0) {
			freopen("/dev/null", "w", stderr);
			_exit(runs(path) ? 0 : 1);
		}
		int status;
		waitpid(process, &status, 0);
		const char *outcome = !WIFEXITED(status) ? "dies"
				      : WEXITSTATUS(status) == 0 ? "runs"
								 : "fails";
		printf("%s\t%s\n", path.filename().c_str(), outcome);
	}
	return 0;
}
