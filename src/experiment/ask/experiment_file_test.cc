#include "src/experiment/ask/experiment_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "src/base/error.h"
#include "src/experiment/ask/claims.h"
#include "src/experiment/plan/plan.h"

namespace attention {
namespace {

using testing::HasSubstr;

// Reads and plans, as the binary does; the message of the Error, which must be bad usage.
std::string Complaint(const std::string& text) {
  try {
    MakePlan(ParseExperiment(text, "x.yaml"), {Isa::kAvx2});
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos)
        << "more than a line: " << error.what();
    return error.what();
  }
  return "nothing is wrong";
}

constexpr const char* kGood = R"(name: good
title: A title
model: qwen3-8b
grid:
  variant: [sequence+online_softmax, "sequence(ring, contiguous)+online_softmax[q=64,kv=256]", {name: mine, strategy: headwise, algorithm: standard, kv_block: 128}]
  contract: [native, token_sharded]
  seq_len: [512, 1024]
  causal: [on, false]
  ranks: [1, 2]
measure: {warmup: 2, rounds: auto, pilot_rounds: 12, cache: cold, data: peaked, seed: 7, max_seconds_per_cell: 12.5}
accuracy: {reference_rows: 16}
launches: 5
expect:
  - claim: ordering
    over: variant
    order: [sequence+online_softmax, mine]
    where: {ranks: 2, causal: [true]}
  - {claim: lengths, metric: gflops, over: seq_len, ratio: {slow: 1024, fast: 512, min: 1.5, max: 9}}
)";

TEST(ExperimentFileTest, ReadsEveryPart) {
  const ExperimentSpec spec = ParseExperiment(kGood, "x.yaml");
  EXPECT_EQ(spec.name, "good");
  EXPECT_EQ(spec.title, "A title");
  EXPECT_EQ(spec.launches(), 5);
  EXPECT_EQ(spec.measure.warmup, 2);
  EXPECT_EQ(spec.measure.rounds, 0);
  EXPECT_EQ(spec.measure.pilot_rounds, 12);
  EXPECT_EQ(spec.measure.seed, 7u);
  EXPECT_EQ(spec.measure.max_seconds_per_cell, 12.5);
  EXPECT_EQ(spec.reference_rows, 16);
  EXPECT_EQ(spec.axes.at("cache").front().text, "cold");
  EXPECT_EQ(spec.axes.at("data").front().text, "peaked");
  EXPECT_EQ(spec.axes.at("mask").front().text, "causal");
  EXPECT_EQ(spec.axes.at("mask").back().text, "full");
  EXPECT_EQ(spec.axes.at("isa").front().text, "auto");
  EXPECT_EQ(spec.models.at("qwen3-8b").query_heads, 32);
  const VariantSpec& spelled = spec.variants.at("sequence(ring,contiguous)+online_softmax[q=64,kv=256]");
  EXPECT_EQ(spelled.exchange, Exchange::kRing);
  EXPECT_EQ(spelled.sharding, Sharding::kContiguous);
  EXPECT_EQ(spelled.tiles, (TileSizes{64, 256}));
  const VariantSpec& mine = spec.variants.at("mine");
  EXPECT_EQ(mine.strategy, ParallelStrategy::kHeadwise);
  EXPECT_EQ(mine.algorithm, AttentionAlgorithm::kStandard);
  EXPECT_EQ(mine.tiles, (TileSizes{0, 128}));
  EXPECT_FALSE(mine.exchange);
}

TEST(ExperimentFileTest, SequentialPlansMarginsAndControls) {
  const ExperimentSpec spec = ParseExperiment(
      "name: x\nlaunches: {looks: [16, 32]}\nmargin: 0.03\ncontrol: {duplicate: headwise+standard, every: "
      "2}\n"
      "grid: {variant: [headwise+standard, sequence+standard], ranks: [2]}\n"
      "measure: {rounds: auto, pilot_rounds: 0, order_seed: 5, limits: launch}\n"
      "expect: [{claim: c, over: variant, order: [sequence+standard, headwise+standard], regime: [contract, "
      "seq_len]}]\n",
      "x.yaml");
  EXPECT_EQ(spec.looks, (std::vector<int>{16, 32}));
  EXPECT_EQ(spec.launches(), 32);
  EXPECT_EQ(spec.margin, 0.03);
  ASSERT_TRUE(spec.control);
  EXPECT_EQ(spec.control->duplicate, "headwise+standard");
  EXPECT_EQ(spec.control->every, 2);
  EXPECT_EQ(spec.measure.order_seed, 5u);
  EXPECT_FALSE(spec.measure.limits_each_round);
  EXPECT_EQ(spec.measure.pilot_rounds, 0);
  EXPECT_EQ(spec.claims.at(0).regime, (std::vector<std::string>{"contract", "seq_len"}));
  EXPECT_EQ(ClaimsToJson(spec.claims)[0]["regime"], (nlohmann::json{"contract", "seq_len"}));
}

TEST(ExperimentFileTest, ClaimsOnSeveralRanksAreJudgedAfterManyLaunches) {
  const auto looks = [](const std::string& ranks, const std::string& rest) {
    return ParseExperiment("name: x\ngrid: {variant: [headwise+standard, sequence+standard], ranks: " +
                               ranks + "}\n" + rest,
                           "x.yaml")
        .looks;
  };
  const std::string claim =
      "expect: [{claim: c, over: variant, order: [sequence+standard, headwise+standard]}]\n";
  EXPECT_EQ(looks("[1, 2]", claim), (std::vector<int>{16, 32, 64, 128}));
  // One launch on one rank decides; without a claim there is nothing to decide; a number that is given
  // counts.
  EXPECT_EQ(looks("[1]", claim), std::vector<int>{1});
  EXPECT_EQ(looks("[1, 2]", ""), std::vector<int>{1});
  EXPECT_EQ(looks("[1, 2]", claim + "launches: 1\n"), std::vector<int>{1});
}

TEST(ExperimentFileTest, AProfileStandsInPlaceOfWhatTheFileSays) {
  const std::string text =
      "name: x\nmargin: 0.03\nlaunches: 4\n"
      "grid: {variant: [headwise+standard, sequence+standard], ranks: [2], seq_len: [512]}\n"
      "measure: {warmup: 3, rounds: 7}\n"
      "exclude: [{ranks: 2, variant: headwise+standard}]\n"
      "profiles:\n"
      "  cluster: {grid: {ranks: [8, 16], threads: [4]}, measure: {rounds: 9}, exclude: [{ranks: 16}], "
      "launches: 2}\n"
      "  home: {model: qwen3-8b}\n";
  const auto values = [](const ExperimentSpec& spec, const std::string& axis) {
    std::string found;
    for (const AxisValue& value : spec.axes.at(axis)) found += value.text + " ";
    return found;
  };
  const ExperimentSpec as_it_is = ParseExperiment(text, "x.yaml");
  EXPECT_EQ(as_it_is.name, "x");
  EXPECT_EQ(values(as_it_is, "ranks"), "2 ");
  EXPECT_EQ(as_it_is.measure.rounds, 7);
  const ExperimentSpec cluster = ParseExperiment(WithProfile(text, "cluster"), "x.yaml");
  EXPECT_EQ(cluster.name, "x_cluster");
  EXPECT_EQ(cluster.config_text, text + "profile: cluster\n") << "what a run keeps says what was run";
  EXPECT_EQ(values(cluster, "ranks"), "8 16 ");
  EXPECT_EQ(values(cluster, "threads"), "4 ");
  EXPECT_EQ(values(cluster, "seq_len"), "512 ");
  EXPECT_EQ(values(cluster, "variant"), "headwise+standard sequence+standard ");
  EXPECT_EQ(cluster.measure.warmup, 3);
  EXPECT_EQ(cluster.measure.rounds, 9);
  EXPECT_EQ(cluster.margin, 0.03);
  EXPECT_EQ(cluster.launches(), 2);
  ASSERT_EQ(cluster.exclude.size(), 1u);
  EXPECT_EQ(cluster.exclude[0].size(), 1u);
  EXPECT_EQ(cluster.axes.at("ranks")[1].where, "x.yaml:8:31: grid.ranks") << "the place in the file";
  const ExperimentSpec home = ParseExperiment(WithProfile(text.substr(0, text.size() - 1), "home"), "x.yaml");
  EXPECT_EQ(values(home, "model"), "qwen3-8b ");
  EXPECT_EQ(values(home, "ranks"), "2 ");
  EXPECT_THROW(WithProfile(text, "a\nname: y"), Error);
  EXPECT_THAT(Complaint(WithProfile(WithProfile(text, "home"), "home")),
              HasSubstr("key 'profile' is given twice"));
}

TEST(ExperimentFileTest, LaunchesGivenBesideTheFile) {
  EXPECT_EQ(LooksUpTo({5}, 3), std::vector<int>{3});
  EXPECT_EQ(LooksUpTo({5}, 8), std::vector<int>{8});
  EXPECT_EQ(LooksUpTo({16, 32, 64}, 40), (std::vector<int>{16, 32, 40}));
  EXPECT_EQ(LooksUpTo({16, 32, 64}, 32), (std::vector<int>{16, 32}));
  EXPECT_EQ(LooksUpTo({16, 32, 64}, 100), (std::vector<int>{16, 32, 64}));
  EXPECT_EQ(LooksUpTo({16, 32, 64}, 4), std::vector<int>{4});
}

TEST(ExperimentFileTest, ProfilesAreFew) {
  std::string text = "name: x\ngrid:\n  variant: [headwise+standard]\nprofiles:\n";
  for (int i = 0; i < 32; ++i) text += internal::Concatenate("  p", i, ": {title: x}\n");
  ParseExperiment(text, "x.yaml");
  try {
    ParseExperiment(text + "  p32: {title: x}\n", "x.yaml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "x.yaml:5:3: profiles: holds 33 profiles, at most 32");
  }
}

TEST(ExperimentFileTest, ClaimsKeepTheTypesOfTheirAxis) {
  const nlohmann::json claims = ClaimsToJson(ParseExperiment(kGood, "x.yaml").claims);
  const nlohmann::json expected = nlohmann::json::parse(R"([
    {"claim": "ordering", "metric": "time_s", "over": "variant",
     "order": ["sequence+online_softmax", "mine"], "where": {"ranks": [2], "mask": ["causal"]}},
    {"claim": "lengths", "metric": "gflops", "over": "seq_len",
     "ratio": {"slow": 1024, "fast": 512, "min": 1.5, "max": 9.0}, "where": {}}])");
  EXPECT_EQ(claims, expected);
}

// A file that is right but for one line.
std::string WithGrid(const std::string& grid) { return "name: x\ngrid:\n" + grid; }
std::string WithLine(const std::string& line) {
  return "name: x\ngrid:\n  variant: [sequence+online_softmax, headwise+standard]\n  ranks: [1, 2]\n" + line;
}

struct BadFile {
  std::string text;
  std::string complaint;  // all of it, or its beginning where it ends in "..."
};

const BadFile kBadFiles[] = {
    {WithLine("---\nname: y\n"), "x.yaml:6:1: a second document begins here, which nobody reads; ..."},
    {WithLine("...\nname: y\n"), "x.yaml:6:1: a second document begins here, which nobody reads; ..."},
    {WithLine("---\n---\nname: y\n"), "x.yaml:6:1: a second document begins here, which nobody reads; ..."},
    {"  name: x\n,\n", "x.yaml:2:1: a second document begins here, which nobody reads; ..."},
    {WithLine("# f\xFCr\n"),
     "x.yaml:5:4: a byte that is no text in UTF-8, as which the file is kept in the manifest; ..."},
    {std::string("\xFF\xFEn\0", 4), "x.yaml:1:1: a byte that is no text in UTF-8, ..."},
    {std::string("#\0n\0", 4), "x.yaml:1:2: a byte that is no text in UTF-8, ..."},
    {WithLine("measure: {rounds: !!null 7}\n"),
     "x.yaml:5:19: the tag 'tag:yaml.org,2002:null' says what ..."},
    {WithLine("measure: !mine {rounds: 7}\n"),
     "x.yaml:5:10: the tag '!mine' says what kind of value this is, ..."},
    {WithLine("measure: {seed: 9223372036854775808}\n"),
     "x.yaml:5:17: measure.seed: 9223372036854775808 is out of range, ..."},
    {WithGrid("  variant: [{name: \"1.0\", strategy: headwise, algorithm: standard}]\n"),
     "x.yaml:3:20: grid.variant.name: a name may not read as a number or as true or false"},
    {WithGrid("  variant: [{name: yes, strategy: headwise, algorithm: standard}]\n"),
     "x.yaml:3:20: grid.variant.name: a name may not read as a number or as true or false"},
    {WithGrid("  variant: [{name: \" a\", strategy: headwise, algorithm: standard}]\n"),
     "x.yaml:3:20: grid.variant.name: a name is 1 to 80 printable ASCII characters ..."},
    {WithGrid("  variant: [{name: \"a\\u2028b\", strategy: headwise, algorithm: standard}]\n"),
     "x.yaml:3:20: grid.variant.name: a name is 1 to 80 printable ASCII characters ..."},
    {WithLine("launches: {looks: [16, 16]}\n"),
     "x.yaml:5:24: launches.looks: looks must rise; 16 comes after 16"},
    {WithLine("launches: {looks: [0]}\n"), "x.yaml:5:20: launches.looks: ..."},
    {WithLine("margin: 0.6\n"), "x.yaml:5:9: margin: ..."},
    {WithLine("control: {duplicate: headwise+standart}\n"),
     "x.yaml:5:22: control.duplicate: 'headwise+standart' is no variant of the grid, which has ..."},
    {WithLine("control: {every: 2}\n"), "x.yaml:5:10: control: key 'duplicate' is missing"},
    {WithLine("measure: {pilot_rounds: 3}\n"),
     "x.yaml:5:25: measure.pilot_rounds: 0 or 10 to 1000 is expected; found 3"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2], regime: [ranks]}]\n"),
     "x.yaml:5:58: expect.regime: a regime may not be made by 'ranks', the axis of over"},
    {"name: [x\n", "x.yaml:2:1: not valid YAML: ..."},
    {"", "x.yaml: a map is expected, with the keys name, ..."},
    {"- a\n", "x.yaml:1:1: a map is expected, with the keys name, ..."},
    {"grid: {}\n", "x.yaml:1:1: key 'name' is missing"},
    {"name: x\n", "x.yaml:1:1: key 'grid' is missing"},
    {"name: \n", "x.yaml:1:1: name: a text is expected; found nothing"},
    {"name: A b\ngrid: {}\n", "x.yaml:1:7: name: 'A b' is not a plain name..."},
    {"name: x\nname: y\ngrid: {}\n", "x.yaml:2:1: key 'name' is given twice"},
    {"name: x\ngird: {}\n",
     "x.yaml:2:1: unknown key 'gird', allowed are name, title, grid, exclude, measure, accuracy, expect, "
     "launches, weights, margin, control, model, scope, phase, dtype, batch, profiles, profile; did you "
     "mean grid?"},
    {WithLine("profile: cluster\n"),
     "x.yaml:5:10: profile: 'cluster' is no profile of this file, which has none"},
    {WithLine("profiles: {cluster: {margin: 0.1}}\nprofile: clustre\n"),
     "x.yaml:6:10: profile: 'clustre' is no profile of this file, which has cluster; did you mean cluster?"},
    {WithLine("profiles: {cluster: {margin: 0.6}}\n"), "x.yaml:5:30: margin: ..."},
    {WithLine("profiles: {cluster: {name: y}}\n"),
     "x.yaml:5:22: profiles.cluster: unknown key 'name', allowed are title, ..."},
    {WithLine("profiles: {cluster: {grid: {ranks: [4], ranks: [8]}}}\n"),
     "x.yaml:5:41: profiles.cluster.grid: key 'ranks' is given twice"},
    {WithLine("profiles: {a: {margin: 0.1}, a: {margin: 0.2}}\n"),
     "x.yaml:5:30: profiles: key 'a' is given twice"},
    {WithLine("profiles: {A b: {margin: 0.1}}\n"),
     "x.yaml:5:17: profiles.A b: 'A b' is not a plain name ..."},
    {WithLine("profiles: [cluster]\n"), "x.yaml:5:11: profiles: a map is expected, such as ..."},
    {WithLine("profiles: {cluster: {exclude: [{ranks: 8}]}}\n"), "x.yaml:5:40: exclude.ranks: ..."},
    {WithGrid("  {}\n"), "x.yaml:3:3: grid: the grid is empty; it needs at least variant: ..."},
    {WithGrid("  seq_len: [1]\n"), "x.yaml:3:3: grid: axis 'variant' is missing; ..."},
    {WithGrid("  variant: []\n"),
     "x.yaml:3:12: grid.variant: the list is empty; it needs at least one value, ..."},
    {WithGrid("  variant: headwise+standard\n"),
     "x.yaml:3:12: grid.variant: a list is expected, such as ..."},
    {WithGrid("  variant: [headwise+standart]\n"),
     "x.yaml:3:13: grid.variant: unknown algorithm 'standart', allowed are standard, row_blocked, "
     "online_softmax; did you mean standard?"},
    {WithGrid("  variant: [sequense+standard]\n"),
     "x.yaml:3:13: grid.variant: unknown strategy 'sequense', allowed are headwise, sequence, auto; did you "
     "mean "
     "sequence?"},
    {WithGrid("  variant: [sequence(rng)+online_softmax]\n"),
     "x.yaml:3:13: grid.variant: unknown exchange 'rng', allowed are none, allgather, all_to_all, ring, "
     "merge, mesh, tree, shared; "
     "did you mean ring?"},
    {WithGrid("  variant: [headwise]\n"),
     "x.yaml:3:13: grid.variant: 'headwise' has no '+'; a variant is ..."},
    {WithGrid("  variant: [\"headwise(allgather+standard\"]\n"),
     "x.yaml:3:13: grid.variant: '(' must be closed by ')'; ..."},
    {WithGrid("  variant: [\"headwise+standard[q=0]\"]\n"),
     "x.yaml:3:13: grid.variant: tile sizes are written [q=64,kv=256], whole numbers from 1 or auto; found "
     "'q=0'"},
    {WithGrid("  variant: [headwise+standard, headwise+standard]\n"),
     "x.yaml:3:32: grid.variant: 'headwise+standard' is in the list twice"},
    {WithGrid("  variant: [{name: a, strategy: headwise}]\n"),
     "x.yaml:3:13: grid.variant: key 'algorithm' is missing"},
    {WithGrid("  variant: [{name: a, strategy: headwise, algorthm: standard}]\n"),
     "x.yaml:3:43: grid.variant: unknown key 'algorthm', allowed are name, strategy, exchange, sharding, "
     "grid, algorithm, q_block, kv_block; did you mean algorithm?"},
    {WithLine("  seq_len: [0]\n"),
     "x.yaml:5:13: grid.seq_len: 0 is out of range, allowed is a whole number from 1 to 16777216"},
    {WithLine("  seq_len: [99999999999999999999]\n"),
     "x.yaml:5:13: grid.seq_len: 99999999999999999999 is out of range, allowed is a whole number from 1 to "
     "16777216"},
    {WithLine("  seq_len: [many]\n"),
     "x.yaml:5:13: grid.seq_len: a whole number from 1 to 16777216 is expected; found 'many'"},
    {WithLine("  seq_len: [1.5]\n"),
     "x.yaml:5:13: grid.seq_len: a whole number from 1 to 16777216 is expected; ..."},
    {WithLine("  seq_len: [[1]]\n"),
     "x.yaml:5:13: grid.seq_len: a single value is expected, as in [512, 1024]"},
    {WithLine("  seq_len: \n"),
     "x.yaml:5:3: grid.seq_len: a list is expected, such as [512, 1024]; found nothing"},
    {WithLine("  seqlen: [4]\n"),
     "x.yaml:5:3: grid: unknown key 'seqlen', allowed are model, scope, phase, contract, dtype, activations, "
     "kv_cache, isa, batch, "
     "seq_len, cached_tokens, mask, causal, ranks, threads, placement, cache, data, q_block, kv_block, "
     "variant; did you "
     "mean "
     "seq_len?"},
    {WithLine("  causal: [maybe]\n"), "x.yaml:5:12: grid.causal: true or false is expected; found 'maybe'"},
    {WithLine("  causal: [on]\n  mask: [full]\n"),
     "x.yaml:6:10: grid.mask: axis mask is given twice (here and at x.yaml:5:12: grid.causal)"},
    {WithLine("  mask: [on]\n"),
     "x.yaml:5:10: grid.mask: 'on' is no mask; allowed: full (every key), causal (keys at or before the "
     "query), ..."},
    {WithLine("  mask: [{window: 0}]\n"), "x.yaml:5:10: grid.mask: window 0 is not at least 1 key"},
    {WithLine("  mask: [{windows: 4}]\n"), "x.yaml:5:10: grid.mask: 'windows:4' is no mask; ..."},
    {WithLine("  mask: [{window: 4, documents: [3]}]\n"),
     "x.yaml:5:10: grid.mask: a mask that is a map has one key, such as {window: 512}"},
    {WithLine("  mask: [{documents: []}]\n"), "x.yaml:5:22: grid.mask.documents: the list is empty; ..."},
    {WithLine("  mask: [window:4, {window: 4}]\n"),
     "x.yaml:5:20: grid.mask: 'window:4' is in the list twice"},
    {WithLine("  seq_len: [8, 9]\n  mask: [causal, documents:5+3]\n"),
     "x.yaml:6:18: grid.mask: the documents of mask documents:5+3 have 8 tokens together, the sequence has "
     "9"},
    {WithLine("  mask: [full]\n  scope: [model]\n"),
     "x.yaml:5:10: grid.mask: scope model is causal; valid mask: causal"},
    {WithLine("  causal: [off]\n  scope: [model]\n"),
     "x.yaml:5:12: grid.causal: scope model is causal; valid mask: causal"},
    {WithLine("  kv_cache: [bf16]\n"),
     "x.yaml:5:14: grid.kv_cache: scope attention has no kv_cache; its type is the axis dtype"},
    {WithLine("  kv_cache: [int8]\n  scope: [block]\n  phase: [decode]\n"),
     "x.yaml:5:14: grid.kv_cache: standard does not read int8; valid kv_cache of headwise+standard: fp32, "
     "bf16"},
    {WithLine("  kv_cache: [int8]\n  scope: [model]\n"),
     "x.yaml:5:14: grid.kv_cache: standard does not read int8; valid kv_cache of headwise+standard: fp32, "
     "bf16"},
    {WithLine("  kv_cache: [int7]\n"),
     "x.yaml:5:14: grid.kv_cache: unknown value 'int7', allowed are fp32, bf16, int8; did you mean int8?"},
    {WithLine("  activations: [bf16]\n  scope: [model]\n"),
     "x.yaml:5:17: grid.activations: bf16 activations are for bf16 weights; valid dtype: bf16"},
    {WithLine("  isa: [avx51]\n"),
     "x.yaml:5:9: grid.isa: unknown value 'avx51', allowed are auto, scalar, sse4, avx2, avx512; did you "
     "mean avx512?"},
    {WithLine("  model: [qwen3-06b]\n"),
     "x.yaml:5:11: grid.model: unknown value 'qwen3-06b', allowed are qwen3-0.6b, qwen3-1.7b, qwen3-4b, "
     "qwen3-8b, "
     "qwen3-14b, qwen3-32b; did you mean qwen3-0.6b?"},
    {WithLine("  model: [{heads: 6, kv_heads: 4, head_dim: 64}]\n"),
     "x.yaml:5:32: grid.model.kv_heads: 4 KV heads do not divide 6 heads; every KV head serves the same "
     "number of "
     "query heads"},
    {WithLine("  model: [{heads: 6, kv_heads: 2, head_dim: 257}]\n"),
     "x.yaml:5:45: grid.model.head_dim: 257 is out of range, allowed is a whole number from 1 to 256"},
    {WithLine("model: qwen3-8b\n  \nmeasure: 3\n"),
     "x.yaml:7:10: measure: a map is expected, with the keys warmup, ..."},
    {"name: x\nmodel: qwen3-8b\ngrid: {variant: [headwise+standard], model: [qwen3-8b]}\n",
     "x.yaml:3:46: grid.model: axis model is given twice (here and at x.yaml:2:8: model)"},
    {WithLine("measure: {rounds: 0}\n"),
     "x.yaml:5:19: measure.rounds: 0 is out of range, allowed is a whole number from 1 to 100000"},
    {WithLine("measure: {min_rounds: 30, max_rounds: 20}\n"),
     "x.yaml:5:23: measure.min_rounds: min_rounds 30 is above max_rounds 20"},
    {WithLine("measure: {max_seconds_per_cell: -1}\n"),
     "x.yaml:5:33: measure.max_seconds_per_cell: -1 is out of range, allowed is a number from 0.01 to 1e+06"},
    {WithLine("measure: {cache: wram}\n"),
     "x.yaml:5:18: measure.cache: unknown value 'wram', allowed are warm, cold; did you mean warm?"},
    {WithLine("accuracy: {rows: 3}\n"),
     "x.yaml:5:12: accuracy: unknown key 'rows', allowed are reference_rows"},
    {WithLine("launches: 0\n"),
     "x.yaml:5:11: launches: 0 is out of range, allowed is a whole number from 1 to 999"},
    // Claims.
    {WithLine("expect: {}\n"), "x.yaml:5:9: expect: a list is expected, such as ..."},
    {WithLine("expect: [{over: variant}]\n"), "x.yaml:5:10: expect: key 'claim' is missing"},
    {WithLine("expect: [{claim: c, over: variants}]\n"),
     "x.yaml:5:27: expect.over: unknown value 'variants', allowed are model, ..."},
    {WithLine("expect: [{claim: c, over: variant}]\n"),
     "x.yaml:5:10: expect: claim 'c' needs either order or ratio"},
    {WithLine("expect: [{claim: c, over: variant, metric: time, order: [a, b]}]\n"),
     "x.yaml:5:44: expect.metric: unknown value 'time', allowed are time_s, ..."},
    {WithLine("expect: [{claim: c, over: variant, order: [headwise+standard, headwise+standrd]}]\n"),
     "x.yaml:5:63: expect.order: 'headwise+standrd' is not in the grid, whose variant values are "
     "sequence+online_softmax, headwise+standard; did you mean headwise+standard?"},
    {WithLine("expect: [{claim: c, over: variant, order: [headwise+standard]}]\n"),
     "x.yaml:5:43: expect.order: an order needs at least two values"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 1]}]\n"),
     "x.yaml:5:45: expect.order: '1' is in the order twice"},
    {WithLine("expect: [{claim: c, over: ranks, ratio: {slow: 1, fast: 2}}]\n"),
     "x.yaml:5:41: expect.ratio: a ratio needs min, max or both"},
    {WithLine("expect: [{claim: c, over: ranks, ratio: {slow: 1, fast: 2, min: 3, max: 2}}]\n"),
     "x.yaml:5:41: expect.ratio: min 3 is above max 2"},
    {WithLine("expect: [{claim: c, over: ranks, ratio: {slow: 1, fast: 1, min: 3}}]\n"),
     "x.yaml:5:41: expect.ratio: slow and fast are the same value, '1'"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2], where: {ranks: 1}}]\n"),
     "x.yaml:5:56: expect.where: where may not restrict 'ranks', the axis of over"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2], where: {mask: causal, causal: on}}]\n"),
     "x.yaml:5:79: expect.where.causal: axis mask is given twice"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2], where: {mask: {window: 3}}}]\n"),
     "x.yaml:5:63: expect.where.mask: 'window:3' is not in the grid, whose mask values are causal"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2], where: {seq_len: 7}}]\n"),
     "x.yaml:5:66: expect.where.seq_len: '7' is not in the grid, whose seq_len values are 1024"},
    {WithLine("expect: [{claim: c, over: ranks, order: [1, 2]}, {claim: c, over: ranks, order: [1, 2]}]\n"),
     "x.yaml:5:50: expect: two claims are called 'c'"},
    // Combinations.
    {WithGrid("  variant: [sequence(ring)+standard]\n"), "x.yaml:3:13: grid.variant: ..."},
    {WithGrid("  variant: [headwise(ring)+online_softmax]\n"), "x.yaml:3:13: grid.variant: ..."},
    {WithGrid("  variant: [\"headwise+standard[q=4]\"]\n  q_block: [8]\n"),
     "x.yaml:4:13: grid.q_block: variant 'headwise+standard[q=4]' has tile sizes of its own; ..."},
    {WithGrid("  variant: [\"sequence(grid=2)+standard\"]\n"),
     "x.yaml:3:13: grid.variant: a grid is written 2x4, headwise x sequence ranks, whole numbers from 1 to "
     "1048576; found '2'"},
    {WithGrid("  variant: [\"sequence(grid=2x0)+standard\"]\n"), "x.yaml:3:13: grid.variant: a grid is ..."},
    {WithGrid("  variant: [\"sequence(grid=2x2,ring)+standard\"]\n"),
     "x.yaml:3:13: grid.variant: unknown exchange 'grid=2x2', ..."},
    {WithGrid("  variant: [{name: a, strategy: sequence, algorithm: standard, grid: {headwise: 2}}]\n"),
     "x.yaml:3:70: grid.variant.grid: key 'sequence' is missing"},
    {WithGrid("  variant: [\"headwise(grid=2x1)+standard\"]\n  ranks: [2]\n"),
     "x.yaml:3:13: grid.variant: grid 2x1 with strategy headwise: a grid needs strategy sequence and both "
     "sides at least 1 (--list shows the valid combinations)"},
    {WithGrid("  variant: [\"sequence(grid=2x2)+standard\"]\n  ranks: [4, 3]\n"),
     "x.yaml:3:13: grid.variant: grid 2x2 does not have 3 ranks; give it ranks 4 or exclude it elsewhere"},
    {WithGrid("  variant: [\"sequence(grid=2x2)+standard\"]\n  ranks: [4]\n  scope: [block]\n"),
     "x.yaml:3:13: grid.variant: scope block has no grid; valid scope: attention"},
    {WithLine("exclude: [{ranks: [1, 2]}]\n"), "exclude: it leaves out every point of the grid"},
    {WithLine("exclude: [{ranks: 3}]\n"),
     "x.yaml:5:19: exclude.ranks: '3' is not in the grid, whose ranks values are 1, 2"},
    {WithLine("exclude: [{}]\n"), "x.yaml:5:11: exclude: no axis is given, such as {ranks: [2]}"},
};

TEST(ExperimentFileTest, EveryComplaintSaysWhereWhatAndWhatElse) {
  for (const BadFile& bad : kBadFiles) {
    std::string expected = bad.complaint;
    std::string complaint = Complaint(bad.text);
    if (expected.size() > 3 && expected.substr(expected.size() - 3) == "...") {
      expected.resize(expected.size() - 3);
      complaint = complaint.substr(0, expected.size());
    }
    EXPECT_EQ(complaint, expected) << bad.text;
  }
}

// Every form, and what the older name says.
TEST(ExperimentFileTest, MasksAreSpelledAsTextsAndMaps) {
  const ExperimentSpec spec = ParseExperiment(
      WithGrid(
          "  variant: [headwise+standard]\n  seq_len: [64]\n"
          "  mask: [full, causal, window:512, {window: 07}, {documents: [5, 1, 58]}, documents:60+4]\n") +
          "exclude: [{mask: [{window: 7}, documents:60+4]}, {causal: false}]\n"
          "expect: [{claim: c, over: mask, order: [{documents: [5, 1, 58]}, causal]}]\n",
      "x.yaml");
  std::vector<std::string> masks;
  for (const AxisValue& value : spec.axes.at("mask")) masks.push_back(value.text);
  EXPECT_EQ(masks, (std::vector<std::string>{"full", "causal", "window:512", "window:7", "documents:5+1+58",
                                             "documents:60+4"}));
  EXPECT_EQ(spec.claims.front().over, "mask");
  EXPECT_EQ(spec.claims.front().order, (std::vector<std::string>{"documents:5+1+58", "causal"}));
  const Plan plan = MakePlan(spec, {Isa::kScalar});
  ASSERT_EQ(plan.cells.size(), 3u);
  EXPECT_EQ(plan.cells[0].problem.mask, Mask::Causal());
  EXPECT_EQ(plan.cells[1].problem.mask, Mask::Window(512));
  EXPECT_EQ(Name(plan.cells[2].problem.mask), "documents:5+1+58");
}

TEST(ExperimentFileTest, GridsAreTextsAndMapsAndMayBeExcludedWhereTheyDoNotFit) {
  const Plan plan = MakePlan(
      ParseExperiment(
          WithGrid(
              "  variant: [headwise+standard, {name: mine, strategy: sequence, algorithm: online_softmax, "
              "grid: {headwise: 2, sequence: 3}}, \"sequence(ring, grid=3x2)+online_softmax\"]\n"
              "  ranks: [1, 6]\n") +
              "exclude: [{ranks: 1, variant: [mine, \"sequence(ring,grid=3x2)+online_softmax\"]}]\n",
          "x.yaml"),
      {Isa::kScalar});
  ASSERT_EQ(plan.cells.size(), 2u);
  EXPECT_EQ(plan.cells[0].cases.size(), 1u);
  ASSERT_EQ(plan.cells[1].cases.size(), 3u);
  EXPECT_EQ(plan.cells[1].cases[1].variant.grid, (Grid{2, 3}));
  EXPECT_EQ(Name(plan.cells[1].cases[2].variant), "sequence(ring,zigzag,grid=3x2)+online_softmax");
}

TEST(ExperimentFileTest, TheWrongSplitSaysWhatIsValidInstead) {
  EXPECT_THAT(Complaint(WithGrid("  variant: [sequence(ring)+standard]\n")), HasSubstr("allgather"));
}

TEST(ExperimentFileTest, HostileTextIsRefusedNotSwallowed) {
  EXPECT_NE(Complaint(std::string(100000, '[')), "nothing is wrong");
  EXPECT_NE(Complaint(std::string("\0\x01\xff\xfe", 4)), "nothing is wrong");
  const std::string long_word(100000, 'a');
  EXPECT_LT(Complaint("name: " + long_word + "\ngrid: {}\n").size(), 500u);
  EXPECT_LT(Complaint(WithLine("  isa: [" + long_word + "]\n")).size(), 500u);
}

}  // namespace
}  // namespace attention
