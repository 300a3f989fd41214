// What the hardware can do, measured: the limit that stands beside every figure.
#ifndef SRC_MACHINE_MACHINE_PEAK_H_
#define SRC_MACHINE_MACHINE_PEAK_H_

#include <cstddef>
#include <cstdint>

#include "src/base/data_type.h"
#include "src/simd/isa.h"

namespace attention {

// Rate of the ISA's fused multiply-add (mul + add where it has none) on registers only, all `threads` OpenMP
// threads together, in GFLOP/s (one multiply-add is 2 FLOP per lane); at least 10 independent accumulators so
// that latency is hidden. bf16: vdpbf16ps where the CPU has it (2 multiply-adds per lane), else the float32
// rate. Runs for about `seconds`.
double MeasurePeakGflops(Isa isa, DataType data_type, int threads, double seconds);

// Bandwidth is measured over the footprint of a problem; from here on more bytes change nothing.
inline constexpr int64_t kMaximumReadBytes = int64_t{256} << 20;

// Streaming read rate over `bytes` of already touched memory per thread set (split among threads), GB/s
// (1e9). Widest loads of the ISA, several independent streams. The best stretch of whole passes that take at
// least `stretch_seconds` (0: of single passes) within about `seconds`.
double MeasureReadBandwidth(Isa isa, int threads, const void* memory, size_t bytes, double seconds,
                            double stretch_seconds = 0);

// The core's clock as it is now, GHz, from a chain of dependent integer additions, which every x86 core does
// one per cycle; the best of many slices within about `seconds`. 0 on processors where that is not known.
double MeasureClockGhz(double seconds);

}  // namespace attention

#endif  // SRC_MACHINE_MACHINE_PEAK_H_
