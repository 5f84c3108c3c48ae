// A fuzz target: arbitrary bytes become a batch of grids, a graph or a distance matrix; the core must give the bars of
// the plain method, whatever the threads, report what is not finite, and survive that memory runs out. It aborts if not.
//
// With clang:
//     clang++ -std=c++20 -g -fsanitize=fuzzer,address,undefined -DTOPOLAYER_LIBFUZZER -Wl,--wrap=realloc
//         -Itopolayer/csrc tests/fuzz/*.cpp
// Elsewhere `main`, below, feeds it random bytes or the files it is given:
//     fuzz_grid [--count N] [--seed S] [FILE...]
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "core.hpp"
#include "memory.hpp"
#include "plain.hpp"

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool can_run_out_of_memory = false;  // the sanitizer hangs when a function throws under std::call_once
#else
constexpr bool can_run_out_of_memory = true;
#endif

// Reads what is left of the input; zeros after its end.
class Bytes {
public:
    Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

    std::uint8_t byte() { return next_ < end_ ? *next_++ : 0; }

    // From 0 to `largest`.
    int upto(int largest) { return byte() % (largest + 1); }

    template <class Value>
    Value raw() {
        std::uint8_t bytes[sizeof(Value)];
        for (std::uint8_t& b : bytes) b = byte();
        return std::bit_cast<Value>(bytes);
    }

private:
    const std::uint8_t *next_, *end_;
};

template <class Value>
std::vector<Value> read_values(Bytes& in, std::size_t count) {
    using Limits = std::numeric_limits<Value>;
    constexpr Value special[] = {0, Value{-0.0}, 1, -1, Limits::denorm_min(), -Limits::denorm_min(), Limits::max(),
                                 Limits::lowest(), Limits::min(), 1 + Limits::epsilon(), 3 * Limits::denorm_min(), 0, 2,
                                 Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()};
    std::vector<Value> values(count);
    const int way = in.upto(4), among = 1 + in.byte();
    std::minstd_rand random(in.raw<std::uint32_t>());
    for (Value& value : values) switch (way) {
            case 0: value = static_cast<Value>(in.byte() % (1 + among % 8)); break;
            case 1: value = special[in.byte() % (among % 8 ? 13 : 16)]; break;
            case 2: value = in.raw<Value>(); break;
            // many values from few bytes: noise with ties, and without
            case 3: value = static_cast<Value>(random() % among); break;
            case 4: value = static_cast<Value>(random()); break;
        }
    return values;
}

[[noreturn]] void disagree(const char* what) {
    std::fprintf(stderr, "disagreement: %s\n", what);
    std::abort();
}

void expect(bool holds, const char* what) {
    if (!holds) disagree(what);
}

void expect_same(const core::Bars& bars, const plain::Bars& expected, const char* what) {
    expect(!bars.nonfinite, what);
    expect(bars.finite == expected.finite, what);
    expect(bars.essential == expected.essential, what);
}

bool all_finite(const auto* values, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        if (!std::isfinite(values[i])) return false;
    return true;
}

// Runs it once with all the memory, after it had as little as the input says: that ends well, or in bad_alloc.
template <class Compute>
auto with_little_memory_first(Bytes& in, Compute compute) {
    const int allocations = in.byte();
    if (can_run_out_of_memory && allocations % 2) {
        try {
            const memory::Scarce scarce(allocations / 2);
            compute();
        } catch (const std::bad_alloc&) {
        }
    }
    return compute();
}

template <class Value>
void try_grid(Bytes& in) {
    const int options = in.byte(), threads = 1 + in.upto(4);
    const auto connectivity = static_cast<core::Connectivity>(options % 3);
    const auto adjacency = static_cast<plain::Adjacency>(options % 3);
    static_assert(int(core::Connectivity::freudenthal) == int(plain::Adjacency::freudenthal));
    static_assert(int(core::Connectivity::vertices) == int(plain::Adjacency::vertices));
    const bool superlevel = options & 64;
    std::vector<std::int64_t> shape(1 + in.upto(2));
    std::int64_t size = 1;
    for (std::int64_t& side : shape) size *= side = 1 + in.upto(shape.size() == 1 ? 255 : shape.size() == 2 ? 70 : 12);
    const int top = static_cast<int>(shape.size()) - 1;
    std::vector<int> dims{0};
    if (top > 0 && options & 128) dims.push_back(top);
    if (top > 0 && !(options & 128) && options & 32) dims = {top};

    const int samples = in.upto(3), copies = in.byte() % 16 ? 1 : 1 + threads * (1 << 14) / static_cast<int>(size);
    const auto some = read_values<Value>(in, samples * size);
    std::vector<Value> values;  // several copies are worth several threads
    for (int copy = 0; copy < copies; ++copy) values.insert(values.end(), some.begin(), some.end());
    const auto bars = with_little_memory_first(
        in, [&] { return core::grid(values, shape, connectivity, superlevel, dims, threads); });

    expect(bars.size() == samples * copies * dims.size(), "number of samples and dimensions");
    for (int sample = 0; sample < samples; ++sample)
        for (std::size_t d = 0; d < dims.size(); ++d) {
            const Value* first = &some[sample * size];
            const auto at = [&](int copy) -> const core::Bars& {
                return bars[(copy * samples + sample) * dims.size() + d];
            };
            if (!all_finite(first, size)) {
                for (int copy = 0; copy < copies; ++copy)
                    expect(at(copy).nonfinite && at(copy).finite.empty() && at(copy).essential.empty(), "not finite");
                continue;
            }
            const plain::Bars expected = dims[d] == 0 ? plain::grid_h0(first, shape, adjacency, superlevel)
                                                      : plain::grid_top(first, shape, adjacency, superlevel);
            for (int copy = 0; copy < copies; ++copy)
                expect_same(at(copy), expected, dims[d] == 0 ? "H0 of a grid" : "top dimension of a grid");
        }

    const std::vector<Value> sample(some.begin(), some.begin() + (samples ? size : 0));
    if (sample.empty()) return;
    const int most = 1 + in.upto(9);
    const Value shortest = static_cast<Value>(in.upto(3));
    const auto indices = with_little_memory_first(
        in, [&] { return core::simplified(sample, shape, connectivity, superlevel, most, shortest, threads); });
    expect(indices.empty() != all_finite(sample.data(), size), "simplified, not finite");
    if (indices.empty()) return;
    const auto simplified = plain::simplified(sample.data(), shape, adjacency, superlevel, most, shortest);
    for (std::int64_t i = 0; i < size; ++i) {
        expect(0 <= indices[i] && indices[i] < size && sample[indices[i]] == simplified[i], "simplified");
        expect(indices[i] == i || simplified[i] != sample[i], "simplified without need");
    }
}

template <class Value>
void try_graph(Bytes& in) {
    const bool superlevel = in.byte() & 1;
    const int vertices = 1 + in.upto(40), edges = in.upto(90);
    const bool any_vertex = in.byte() % 8 == 0;
    std::vector<std::int64_t> ends(2 * edges);
    bool valid = true;
    for (std::int64_t& end : ends) {
        end = any_vertex ? static_cast<std::int8_t>(in.byte()) : in.upto(vertices - 1);
        valid &= 0 <= end && end < vertices;
    }
    const auto values = read_values<Value>(in, vertices);
    try {
        const auto bars = with_little_memory_first(in, [&] { return core::graph_h0(values, ends, superlevel); });
        expect(valid, "an edge with a vertex that is not there");
        if (all_finite(values.data(), values.size()))
            expect_same(bars, plain::graph_h0(values, ends, superlevel), "H0 of a graph");
        else
            expect(bars.nonfinite && bars.finite.empty() && bars.essential.empty(), "graph, not finite");
    } catch (const std::invalid_argument&) {
        expect(!valid, "refused edges");
    }
}

template <class Value>
void try_rips(Bytes& in) {
    const int points = 1 + in.upto(30);
    auto distances = read_values<Value>(in, points * points);
    bool valid = true;
    for (int i = 0; i < points; ++i)
        for (int j = i + 1; j < points; ++j) {
            Value& distance = distances[i * points + j];
            distance = std::abs(distance);
            valid &= std::isfinite(distance);
        }
    const Value choices[] = {std::numeric_limits<Value>::infinity(), 0, 1, distances[points / 2]};
    const Value threshold = choices[in.upto(3)];
    const auto bars = with_little_memory_first(in, [&] { return core::rips_h0(distances, points, threshold); });
    // What is not finite is refused before; the core may see it or not, but does nothing that is undefined.
    if (valid && threshold >= 0) expect_same(bars, plain::rips_h0(distances, points, threshold), "H0 of Rips");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes in(data, size);
    const int what = in.byte();
    const auto run = [&]<class Value>(Value) {
        if (what / 2 % 8 == 0)
            try_graph<Value>(in);
        else if (what / 2 % 8 == 1)
            try_rips<Value>(in);
        else
            try_grid<Value>(in);
    };
    what % 2 ? run(float{}) : run(double{});
    return 0;
}

#ifndef TOPOLAYER_LIBFUZZER

namespace {

volatile std::uint64_t current_seed;

// Says how to see a failure again. Sanitizers end here too with abort_on_error=1.
void tell_seed(int signal) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "to see it again: --count 1 --seed %llu\n",
                                     static_cast<unsigned long long>(current_seed));
    std::fwrite(text, 1, static_cast<std::size_t>(length), stderr);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

std::vector<std::uint8_t> random_input(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::uint8_t> input(random() % (random() % 4 ? 100 : 3000));
    for (std::uint8_t& b : input) b = static_cast<std::uint8_t>(random());
    return input;
}

std::vector<std::uint8_t> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

int fuzz(std::uint64_t count, std::uint64_t seed) {
    for (const int signal : {SIGABRT, SIGSEGV, SIGFPE}) {
        const auto before = std::signal(signal, tell_seed);
        if (before != SIG_DFL) std::signal(signal, before);  // a sanitizer's: it reports, and aborts then
    }
    const auto start = std::chrono::steady_clock::now();
    auto told = start;
    for (std::uint64_t i = 0; i < count; ++i) {
        current_seed = seed + i;
        const auto input = random_input(current_seed);
        LLVMFuzzerTestOneInput(input.data(), input.size());
        const auto now = std::chrono::steady_clock::now();
        if (now - told < std::chrono::seconds(5) && i + 1 < count) continue;
        told = now;
        const double seconds = std::chrono::duration<double>(now - start).count();
        const double left = seconds / static_cast<double>(i + 1) * static_cast<double>(count - i - 1);
        std::fprintf(stderr, "%llu of %llu inputs, %.0f s left\n", static_cast<unsigned long long>(i + 1),
                     static_cast<unsigned long long>(count), left);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t count = 100'000, seed = 0;
    std::vector<std::string> files;
    try {
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            if (argument == "--count" && i + 1 < argc)
                count = std::stoull(argv[++i]);
            else if (argument == "--seed" && i + 1 < argc)
                seed = std::stoull(argv[++i]);
            else if (argument.starts_with("--"))
                throw std::invalid_argument("unknown option " + argument);
            else
                files.push_back(argument);
        }
        for (const std::string& file : files) {
            const auto input = read_file(file);
            LLVMFuzzerTestOneInput(input.data(), input.size());
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\nusage: %s [--count N] [--seed S] [FILE...]\n", argv[0], error.what(), argv[0]);
        return 2;
    }
    return files.empty() ? fuzz(count, seed) : 0;
}

#endif
