#include "src/qwen3/linear/linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "src/base/counter_random.h"
#include "src/base/error.h"

namespace attention {
namespace {

std::vector<Isa> Isas() {
  std::vector<Isa> isas;
  for (Isa isa : kAllIsas) {
    if (IsSupported(isa)) isas.push_back(isa);
  }
  return isas;
}

float Weight(int64_t output, int64_t input) {
  return static_cast<float>(RandomGaussian(1, static_cast<uint64_t>(output), static_cast<uint64_t>(input)));
}

struct Shape {
  int64_t rows, inputs, outputs;
};

// Of weights and activations.
struct Types {
  DataType weights, activations;
};
constexpr Types kFloat32 = {DataType::kFloat32, DataType::kFloat32};
constexpr Types kBfloat16Weights = {DataType::kBfloat16, DataType::kFloat32};
constexpr Types kBfloat16 = {DataType::kBfloat16, DataType::kBfloat16};
constexpr Types kAllTypes[] = {kFloat32, kBfloat16Weights, kBfloat16};

double Rounded(float value, DataType type) {
  return type == DataType::kFloat32 ? value : Bfloat16::FromFloat(value).ToFloat();
}

// Partial sums of n products of standard normal values are of size sqrt(n); each of the n roundings errs by
// up to 2^-24 of that, with random sign: sqrt(n) * sqrt(n) * 2^-24 in all, times 4 for the worst of many
// elements. A wrong, missing or doubled term is of size 1; one that is not rounded to bf16 as it should be
// errs by some 2^-10.
double Tolerance(int64_t inputs) { return 4 * static_cast<double>(inputs + 1) * 0x1p-24; }

void CheckProduct(Isa isa, const Types& types, const Shape& shape, int threads, Store store) {
  PackedMatrix matrix(shape.outputs, shape.inputs, types.weights);
  matrix.Fill(
      [&](int64_t output, std::span<float> row) {
        for (size_t i = 0; i < row.size(); ++i) row[i] = Weight(output, static_cast<int64_t>(i));
      },
      threads);
  const int64_t x_stride = shape.inputs + 3, y_stride = shape.outputs + 5;
  std::vector<float> x(shape.rows * x_stride), y(shape.rows * y_stride, 0.5f);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(RandomGaussian(2, 0, i));
  Linear linear(isa, threads, shape.rows, shape.inputs, types.activations);
  linear.Run({x.data(), shape.rows, x_stride}, matrix.view(), store, {y.data(), shape.rows, y_stride});
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t j = 0; j < y_stride; ++j) {
      double expected = j < shape.outputs && store == Store::kOverwrite ? 0 : 0.5;
      if (j < shape.outputs) {
        for (int64_t i = 0; i < shape.inputs; ++i) {
          expected += Rounded(x[r * x_stride + i], types.activations) * Rounded(Weight(j, i), types.weights);
        }
      }
      ASSERT_NEAR(y[r * y_stride + j], expected, Tolerance(shape.inputs))
          << Name(isa) << " " << Name(types.weights) << " x " << Name(types.activations) << " rows "
          << shape.rows << " inputs " << shape.inputs << " outputs " << shape.outputs << " at " << r << ", "
          << j;
    }
  }
}

TEST(LinearTest, EveryRowCountAndEdge) {
  for (Isa isa : Isas()) {
    for (const Types& types : kAllTypes) {
      for (int64_t rows = 1; rows <= 30; ++rows) {
        CheckProduct(isa, types, {rows, 5, 33}, 1, Store::kOverwrite);
      }
      for (int64_t inputs = 1; inputs <= 40; ++inputs) {
        CheckProduct(isa, types, {1, inputs, 33}, 1, Store::kOverwrite);
      }
      for (int64_t outputs : {1, 31, 32, 64, 100}) {
        CheckProduct(isa, types, {3, 7, outputs}, 2, Store::kAdd);
      }
    }
  }
}

TEST(LinearTest, SeveralInputBlocksAndRowBlocks) {
  for (Isa isa : Isas()) {
    CheckProduct(isa, kFloat32, {40, 2500, 40}, 2, Store::kAdd);
    CheckProduct(isa, kBfloat16Weights, {2, 2500, 40}, 3, Store::kOverwrite);
    CheckProduct(isa, kFloat32, {300, 1030, 35}, 2, Store::kOverwrite);
    CheckProduct(isa, kBfloat16Weights, {250, 1030, 70}, 2, Store::kAdd);
    CheckProduct(isa, kBfloat16, {40, 2501, 40}, 2, Store::kAdd);
    CheckProduct(isa, kBfloat16, {260, 1031, 35}, 2, Store::kOverwrite);
  }
}

// Threads pack neighbouring tiles at once.
TEST(LinearTest, PackingATileTouchesNothingElse) {
  constexpr float kUntouched = -1;
  for (Isa isa : Isas()) {
    const LinearKernels kernels = GetLinearKernels(isa, DataType::kFloat32, DataType::kFloat32);
    for (int rows = 1; rows <= kernels.max_rows; ++rows) {
      for (int64_t inputs : {1, 7, 8, 15, 16, 17, 32, 45, 160}) {
        const int64_t stride = inputs + 2;
        std::vector<float> x(rows * stride), packed(rows * inputs + 32, kUntouched);
        for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
        kernels.pack(x.data(), stride, rows, inputs, packed.data());
        for (int64_t at = 0; at < std::ssize(packed); ++at) {
          const int64_t input = at / rows, row = at % rows;
          ASSERT_EQ(packed[at], input < inputs ? x[row * stride + input] : kUntouched)
              << Name(isa) << " rows " << rows << " inputs " << inputs << " at " << at;
        }
      }
    }
  }
}

// Words are rounded to nearest even like everywhere else, and nothing is written beyond the last.
TEST(LinearTest, ActivationsBecomeWordsOfBfloat16) {
  constexpr float kUntouched = -1;
  for (Isa isa : Isas()) {
    const LinearKernels kernels = GetLinearKernels(isa, DataType::kBfloat16, DataType::kBfloat16);
    for (int64_t inputs = 1; inputs <= 70; ++inputs) {
      std::vector<float> x(inputs), words(inputs + 40, kUntouched);
      for (int64_t i = 0; i < inputs; ++i) x[i] = Weight(inputs, i);
      x[0] = 1.00390625f;  // halfway: to even, down
      kernels.convert(x.data(), inputs, words.data());
      for (int64_t i = 0; i < inputs; ++i) {
        const uint32_t word = std::bit_cast<uint32_t>(words[i / kernels.inputs_per_word]);
        const bool is_low = kernels.inputs_per_word == 2 && i % 2 == 0;
        ASSERT_EQ(is_low ? word & 0xFFFF : word >> 16, Bfloat16::FromFloat(x[i]).bits)
            << Name(isa) << " inputs " << inputs << " at " << i;
      }
      if (kernels.inputs_per_word == 2 && inputs % 2 == 1) {
        EXPECT_EQ(std::bit_cast<uint32_t>(words[inputs / 2]) >> 16, 0u);
      }
      for (int64_t at = kernels.Words(inputs); at < std::ssize(words); ++at) {
        ASSERT_EQ(words[at], kUntouched) << Name(isa) << " inputs " << inputs << " at " << at;
      }
    }
    EXPECT_THROW(GetLinearKernels(isa, DataType::kFloat32, DataType::kBfloat16), Error);
  }
}

TEST(LinearTest, NothingInNothingOut) {
  for (Isa isa : Isas()) {
    for (const Types& types : kAllTypes) {
      CheckProduct(isa, types, {0, 5, 33}, 2, Store::kOverwrite);
      CheckProduct(isa, types, {3, 0, 33}, 2, Store::kOverwrite);
      CheckProduct(isa, types, {3, 5, 0}, 2, Store::kOverwrite);
    }
  }
}

TEST(LinearTest, SlicesOfOutputsAndInputsAddUpToTheWhole) {
  for (DataType type : {DataType::kFloat32, DataType::kBfloat16}) {
    const int64_t outputs = 70, inputs = 21, rows = 4;
    PackedMatrix matrix(outputs, inputs, type);
    matrix.Fill(
        [](int64_t output, std::span<float> row) {
          for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>((output * 7 + i * 3) % 5);
        },
        1);
    std::vector<float> x(rows * inputs), whole(rows * outputs), parts(rows * outputs, 0.0f);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 4);
    Linear linear(Isa::kScalar, 1, rows, inputs);
    linear.Run({x.data(), rows, inputs}, matrix.view(), Store::kOverwrite, {whole.data(), rows, outputs});
    for (const auto& [first, count] : {std::pair(0, 1), std::pair(1, 2)}) {
      for (const auto& [input, length] : {std::pair(0, 6), std::pair(6, 15)}) {
        linear.Run({x.data() + input, rows, inputs},
                   matrix.view().SlicePanels(first, count).SliceInputs(input, length), Store::kAdd,
                   {parts.data() + first * kPanelOutputs, rows, outputs});
      }
    }
    EXPECT_EQ(whole, parts);  // small integers: exact in any order
    std::vector<float> row(inputs);
    matrix.ReadRow(65, row);
    EXPECT_EQ(row[4], static_cast<float>((65 * 7 + 12) % 5));
    EXPECT_THROW(matrix.view().SlicePanels(2, 2), Error);
    EXPECT_THROW(matrix.view().SliceInputs(20, 2), Error);
    if (type == DataType::kBfloat16) {
      EXPECT_THROW(matrix.view().SliceInputs(5, 16), Error);
      EXPECT_THROW(matrix.view().SliceInputs(0, 5), Error);
    }
  }
}

}  // namespace
}  // namespace attention
