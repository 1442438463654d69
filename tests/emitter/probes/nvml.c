/* A small NVML for tests: two GPUs, the second with a MIG instance. Files in $FAKE_NVML_DIR are its faults:
 * lost-N, reset-N (GPU N), hang, xid (holds a number; taken once), pending, failed, down (NVLink 1).
 * What a function does not know it answers as a driver does: 3 (not supported), 2 (invalid argument). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
typedef struct { void *device; unsigned long long type, data; unsigned gpu, compute; } event_t;
typedef struct {
  unsigned field, scope; long long time, latency; unsigned kind, result;
  union { double d; unsigned u; unsigned long l; unsigned long long ll; } value;
} field_t;

static int gpus[3] = {0, 1, 2}; /* 2 is the MIG instance */
#define NUMBER(device) (*(int *)(device))

static int fault(const char *name) {
  char path[512];
  const char *dir = getenv("FAKE_NVML_DIR");
  snprintf(path, sizeof path, "%s/%s", dir ? dir : "/nonexistent", name);
  return access(path, F_OK) == 0;
}

static int state(void *device) {
  char name[16];
  snprintf(name, sizeof name, "lost-%d", NUMBER(device));
  if (fault(name)) return 15;
  snprintf(name, sizeof name, "reset-%d", NUMBER(device));
  if (fault(name)) return 16;
  while (fault("hang")) usleep(1000);
  return 0;
}
#define READY(device) do { int bad = state(device); if (bad) return bad; } while (0)
#define WHOLE(device) do { READY(device); if (NUMBER(device) == 2) return 3; } while (0)

int nvmlInitWithFlags(unsigned flags) { return fault("mismatch") ? 18 : 0; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int result) {
  return result == 15 ? "GPU is lost" : result == 18 ? "Driver/library version mismatch" : "an error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  *device = &gpus[index]; READY(*device); return 0; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
  static const char *names[] = {"GPU-aaaa", "GPU-bbbb", "MIG-cccc"};
  strcpy(text, names[NUMBER(device)]); return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) {
  strcpy(text, NUMBER(device) == 2 ? "Test GPU MIG 1g" : "Test GPU"); return 0; }
int nvmlDeviceGetPciInfo_v3(void *device, pci_t *pci) {
  sprintf(pci->bus_id, "0000%04X:4%d:00.0", 0, NUMBER(device) + 1); return 0; }

int nvmlDeviceGetUtilizationRates(void *device, utilization_t *rates) {
  WHOLE(device); rates->gpu = 75; rates->memory = 10; return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
  READY(device); memory->total = 80000; memory->used = 20000; memory->free = 60000; return 0; }
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) {
  WHOLE(device); *degrees = 61; return 0; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  WHOLE(device); if (NUMBER(device) == 1) return 3; *milliwatts = 312500; return 0; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) {
  WHOLE(device); *milliwatts = 700000; return 0; }
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *megahertz) {
  WHOLE(device); *megahertz = kind == 1 ? 1410 : 1593; return 0; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
  WHOLE(device); *reasons = 4; return 0; }
int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, unsigned long long *count) {
  WHOLE(device); *count = (kind == 0 ? 5 : 1) + 100 * counter; return 0; }
int nvmlDeviceGetRemappedRows(void *device, unsigned *corrected, unsigned *uncorrected, unsigned *pending,
                              unsigned *failed) {
  WHOLE(device); *corrected = 1; *uncorrected = 2; *pending = fault("pending"); *failed = fault("failed");
  return 0; }
int nvmlDeviceGetCurrPcieLinkGeneration(void *device, unsigned *number) { WHOLE(device); *number = 4; return 0; }
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *number) { WHOLE(device); *number = 5; return 0; }
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *lanes) { WHOLE(device); *lanes = 8; return 0; }
int nvmlDeviceGetMaxPcieLinkWidth(void *device, unsigned *lanes) { WHOLE(device); *lanes = 16; return 0; }
int nvmlDeviceGetPcieReplayCounter(void *device, unsigned *count) { WHOLE(device); *count = 7; return 0; }
int nvmlDeviceGetPcieThroughput(void *device, int kind, unsigned *kilobytes) {
  WHOLE(device); *kilobytes = kind == 0 ? 3 : 2; return 0; }
int nvmlDeviceGetNvLinkState(void *device, unsigned link, unsigned *active) {
  WHOLE(device);
  if (NUMBER(device) == 1) return 3;
  if (link >= 3) return 2;
  *active = !(link == 1 && fault("down"));
  return 0; }
int nvmlDeviceGetFieldValues(void *device, int count, field_t *values) {
  WHOLE(device);
  for (int i = 0; i < count; i++) {
    values[i].result = 0;
    switch (values[i].field) {
      case 82: values[i].kind = 1; values[i].value.u = 72; break;
      case 38: case 45: case 52: case 59: values[i].kind = 3; values[i].value.ll = values[i].field; break;
      case 138: case 139:
        values[i].kind = 3; values[i].value.ll = values[i].scope == 0xffffffff ? values[i].field : 0; break;
      default: values[i].result = 3;
    }
    if (NUMBER(device) == 1 && values[i].field != 82) values[i].result = 3;
  }
  return 0; }

int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) {
  *now = *pending = NUMBER(device) == 1; return 0; }
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) { *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance) {
  if (index) return 6;
  *instance = &gpus[2]; return 0; }

static int registered[3];
int nvmlEventSetCreate(void **set) { memset(registered, 0, sizeof registered); *set = &gpus; return 0; }
int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *set) {
  READY(device); registered[NUMBER(device)] = 1; return 0; }
int nvmlEventSetFree(void *set) { return 0; }
int nvmlEventSetWait_v2(void *set, event_t *event, unsigned milliseconds) {
  char path[512];
  for (unsigned waited = 0; waited < milliseconds; waited += 5) {
    if (registered[0] && fault("lost-0")) return 15;
    if (fault("xid")) {
      snprintf(path, sizeof path, "%s/xid", getenv("FAKE_NVML_DIR"));
      FILE *file = fopen(path, "r");
      event->device = &gpus[1];
      event->type = 8;
      if (fscanf(file, "%llu", &event->data) != 1) event->data = 0;
      fclose(file);
      remove(path);
      return 0;
    }
    usleep(5000);
  }
  return 10; }
