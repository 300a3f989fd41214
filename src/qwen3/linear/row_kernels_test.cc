#include "src/qwen3/linear/row_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/qwen3/linear/rotary.h"

namespace attention {
namespace {

std::vector<Isa> Isas() {
  std::vector<Isa> isas;
  for (Isa isa : kAllIsas) {
    try {
      GetRowKernels(isa);
      isas.push_back(isa);
    } catch (const Error&) {
    }
  }
  return isas;
}

std::vector<float> Gaussian(int64_t n, uint64_t stream, double scale = 1) {
  std::vector<float> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(scale * RandomGaussian(3, stream, i));
  }
  return values;
}

TEST(RowKernelsTest, RmsNorm) {
  for (Isa isa : Isas()) {
    for (int64_t n : {1, 2, 15, 16, 80, 129, 1024, 5120}) {
      const std::vector<float> x = Gaussian(n, 1), weight = Gaussian(n, 2);
      double squares = 0;
      for (float v : x) squares += static_cast<double>(v) * v;
      const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-6);
      std::vector<float> y(static_cast<size_t>(n));
      GetRowKernels(isa).rms_norm(x.data(), weight.data(), n, 1e-6f, y.data());
      // A plain float sum of n squares errs by about sqrt(n) / 2 roundings (relative), the rest by 4.
      const double tolerance = (4 + std::sqrt(static_cast<double>(n))) * 0x1p-24;
      for (int64_t i = 0; i < n; ++i) {
        const double expected = x[i] * scale * weight[i];
        ASSERT_NEAR(y[i], expected, tolerance * std::abs(expected)) << Name(isa) << " " << n;
      }
    }
  }
}

TEST(RowKernelsTest, RmsNormOfZerosIsZeros) {
  std::vector<float> zeros(80, 0.0f), weight(80, 1.0f);
  for (Isa isa : Isas()) {
    GetRowKernels(isa).rms_norm(zeros.data(), weight.data(), 80, 1e-6f, zeros.data());
    for (float v : zeros) ASSERT_EQ(v, 0.0f);
  }
}

TEST(RowKernelsTest, RotateHalfAtLargePositions) {
  for (Isa isa : Isas()) {
    for (int64_t head_dim : {2, 16, 80, 128, 256}) {
      const RotaryTable table(4001, head_dim, 1e6);
      const int64_t half = head_dim / 2, position = 4000;
      const std::vector<float> x = Gaussian(head_dim, 4);
      std::vector<float> y = x;
      GetRowKernels(isa).rotate_half(y.data(), table.cos(position), table.sin(position), half);
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            position * std::pow(1e6, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
        const double first = x[i] * std::cos(angle) - x[half + i] * std::sin(angle);
        const double second = x[half + i] * std::cos(angle) + x[i] * std::sin(angle);
        // Two products of values below 5 with cos and sin rounded once, one sum.
        ASSERT_NEAR(y[i], first, 4 * 5 * 0x1p-24) << Name(isa) << " " << head_dim;
        ASSERT_NEAR(y[half + i], second, 4 * 5 * 0x1p-24) << Name(isa) << " " << head_dim;
      }
    }
  }
}

TEST(RowKernelsTest, SwiGluOverTheWholeRange) {
  std::vector<float> x(32 * 20);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(RandomGaussian(5, 0, i) * (i < 320 ? 1 : 60));
  x[0] = 1e30f, x[1] = -1e30f, x[2] = 0.0f, x[3] = -100.0f;
  for (Isa isa : Isas()) {
    std::vector<float> y(16 * 20);
    GetRowKernels(isa).swiglu(x.data(), 20, y.data());
    for (int64_t g = 0; g < 20; ++g) {
      for (int64_t i = 0; i < 16; ++i) {
        const double gate = x[32 * g + i], up = x[32 * g + 16 + i];
        const double expected = gate / (1 + std::exp(-gate)) * up;
        ASSERT_TRUE(std::isfinite(y[16 * g + i]));
        // Highway's Exp errs by 1 ULP; a gate below -88 is clamped to |gate| e^-88 instead of less.
        ASSERT_NEAR(y[16 * g + i], expected, 6 * 0x1p-24 * std::abs(expected) + std::abs(gate * up) * 1e-38)
            << Name(isa) << " gate " << gate;
      }
    }
  }
}

TEST(RowKernelsTest, RoundsToBfloat16LikeOneValue) {
  std::vector<float> x = Gaussian(67, 6);
  x[0] = 1.00390625f;  // halfway between two: to even, down
  x[1] = 1.01171875f;  // halfway: up
  x[2] = std::numeric_limits<float>::infinity();
  x[3] = -std::numeric_limits<float>::max();  // rounds to infinity
  x[4] = std::bit_cast<float>(0xFFFFFFFFu);   // NaN whose sum would wrap around
  x[5] = -0.0f;
  x[6] = 1e-40f;  // denormal
  for (Isa isa : Isas()) {
    for (int64_t n : {1, 7, 15, 16, 17, 67}) {
      constexpr Bfloat16 kUntouched = {0x1234};
      std::vector<Bfloat16> y(70, kUntouched);
      GetRowKernels(isa).round_to_bfloat16(x.data(), n, y.data());
      for (int64_t i = 0; i < std::ssize(y); ++i) {
        if (i < n && std::isnan(x[i])) {
          ASSERT_TRUE(std::isnan(y[i].ToFloat())) << Name(isa);
        } else {
          ASSERT_EQ(y[i].bits, (i < n ? Bfloat16::FromFloat(x[i]) : kUntouched).bits)
              << Name(isa) << " " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace attention
