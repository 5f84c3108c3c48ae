// Simplification of functions on a grid: which entry's value each entry takes, so that no extrema are left but the kept ones.
// A component that is not kept is cut off at the value of a saddle; the others stay as they are.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/buffer.hpp"
#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"
#include "grid/persistence.hpp"
#include "common/interrupt.hpp"
#include "common/cuts.hpp"
#include "common/merge_tree.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"

namespace topolayer {

// The way from a pixel to earlier and earlier ones leads to an extremum, in whose component the pixel is from the
// start: it is cut off with that one if it is earlier than the saddle. Going backwards in C order, the end of a way is known
// where the next pixel on it follows in C order. Where it does not, and at an extremum, the way *stops* for now. Stops are few;
// their ways are followed in a second step.
template <class Value, class Index>
class GridSimplification {
public:
    // Writes the indices of the sample, in the batch. False if a value is not finite.
    bool operator()(const Sample<Value>& sample, const Grid& grid, const Kept& kept, GridPersistence<Value>& persistence,
                    Index* indices) {
        const MergeTree* tree = persistence.tree(sample, grid);
        if (!tree) return false;
        const Buffer<Position>& cuts = cuts_.find(*tree, sample, kept);
        steps_.fill(0);
        for (unsigned i = 0; i < grid.neighbors().size(); ++i) steps_[i] = grid.step(i);
        codes_ = persistence.codes();
        stop_.renew(static_cast<std::size_t>(grid.size()));
        divide(grid, sample.threads);
        for_each_strip(grid, sample.interrupt, [&](Strip& strip) { find_stops(grid, strip, sample.interrupt); });
        for (Label label = 0; label < tree->size(); ++label)
            cut_at((*tree)[label].extremum) = {sample.values[cuts[label]], cuts[label]};
        Pace pace(sample.interrupt);
        for (Strip& strip : strips_)
            for (std::size_t stop = strip.stops.size(); stop-- > 0; pace.after(1)) follow(strip, stop);
        for_each_strip(grid, sample.interrupt, [&](const Strip& strip) {
            sample.superlevel ? write<true>(strip, sample, indices) : write<false>(strip, sample, indices);
        });
        return true;
    }

    std::size_t bytes() const {
        std::size_t result = cuts_.bytes() + stop_.bytes() + passed_.capacity() * sizeof(Cut*);
        for (const Strip& strip : strips_) result += strip.stops.bytes() + strip.cuts.bytes();
        return result;
    }

private:
    struct Cut {
        Value value;
        Position saddle;
    };
    // Some rows, for one thread.
    struct Strip {
        std::int64_t begin, end;
        Buffer<Position> stops;  // backwards in C order
        Buffer<Cut> cuts;        // of the stops
    };

    void divide(const Grid& grid, int threads) {
        const std::int64_t count = std::min(parts_of_sample(threads, grid.size()), grid.rows());
        if (strips_.size() != static_cast<std::size_t>(count)) strips_ = std::vector<Strip>(static_cast<std::size_t>(count));
        for (std::int64_t i = 0; i < count; ++i) {
            strips_[i].begin = grid.rows() * i / count * grid.shape()[2];
            strips_[i].end = grid.rows() * (i + 1) / count * grid.shape()[2];
        }
    }

    template <class Function>
    void for_each_strip(const Grid& grid, Interrupt& interrupt, Function function) {
        const auto count = static_cast<std::int64_t>(strips_.size());
        const auto of_strip = [&](std::int64_t i) { function(strips_[i]); };
        if (count == 1)
            of_strip(0);
        else
            for_each_task(count, grid.size(), count, interrupt, [&] { return of_strip; });
    }

    // Where a way goes at first, by direction.
    struct Moves {
        std::array<std::int64_t, 32> ahead{}, back{};  // to a pixel that follows, or the one before in the same row
        std::array<Position, 32> stops;                // else it stops: all bits are set
    };

    // From a row with so many others behind it in its strip.
    static Moves moves_within(std::int64_t rows_behind, const Grid& grid) {
        Moves moves;
        moves.stops.fill(~Position{0});
        for (unsigned i = 0; i < grid.neighbors().size(); ++i) {
            const auto& n = grid.neighbors()[i];
            const std::int64_t rows = n.dz * grid.shape()[1] + n.dy, step = grid.step(i);
            if (step > 0 && rows <= rows_behind) moves.ahead[i] = step;
            if (step == -1 && rows == 0) moves.back[i] = 1;
            if (moves.ahead[i] + moves.back[i] > 0) moves.stops[i] = 0;
        }
        return moves;
    }

    void find_stops(const Grid& grid, Strip& strip, Interrupt& interrupt) {
        const auto [depth, height, width] = grid.shape();
        const std::int64_t reach = depth > 1 ? height + 1 : 1;  // rows on to the last neighbor
        const std::uint8_t* const codes = codes_;
        Position* const stop = stop_.begin();
        Moves moves;
        strip.stops.clear();
        Position count = 0;
        Pace pace(interrupt);
        for (std::int64_t begin = strip.end - width; begin >= strip.begin; begin -= width) {
            const std::int64_t rows_behind = (strip.end - begin) / width - 1;
            if (rows_behind <= reach) moves = moves_within(rows_behind, grid);
            strip.stops.room_for(static_cast<std::size_t>(width));
            Position* const stops = strip.stops.begin();
            for (std::int64_t pixel = begin + width - 1; pixel >= begin; --pixel) {
                const unsigned direction = codes[pixel] & code::direction;
                const Position ahead = stop[pixel + moves.ahead[direction]], stops_here = moves.stops[direction];
                stop[pixel] = ahead ^ ((ahead ^ count) & stops_here);  // no branch: in noise it could not be predicted
                stops[count] = static_cast<Position>(pixel);
                count -= stops_here;
            }
            strip.stops.end_at(stops + count);
            // A pixel from which the way goes back in its row had no stop yet: it has that of the one before, which has one.
            for (std::int64_t pixel = begin; pixel < begin + width; ++pixel)
                stop[pixel] = stop[pixel - moves.back[codes[pixel] & code::direction]];
            pace.after(width);
        }
        strip.cuts.renew(strip.stops.size());
        std::fill(strip.cuts.begin(), strip.cuts.end(), Cut{0, unknown});
    }

    Strip& strip_at(std::int64_t pixel) {
        std::size_t i = 0;
        while (pixel >= strips_[i].end) ++i;
        return strips_[i];
    }

    Cut& cut_at(Position pixel) { return strip_at(pixel).cuts[stop_[pixel]]; }

    // Finds the cut of a stop, and of those on the way.
    void follow(Strip& strip, std::size_t stop) {
        Cut* cut = &strip.cuts[stop];
        for (std::int64_t pixel = strip.stops[stop]; cut->saddle == unknown;) {
            passed_.push_back(cut);
            pixel += steps_[codes_[pixel] & code::direction];
            Strip& next = strip_at(pixel);
            cut = &next.cuts[stop_[pixel]];
            pixel = next.stops[stop_[pixel]];
        }
        for (Cut* passed : passed_) *passed = *cut;
        passed_.clear();
    }

    template <bool superlevel>
    void write(const Strip& strip, const Sample<Value>& sample, Index* indices) const {
        const Value* const values = sample.values;
        const auto first = static_cast<Index>(sample.first);
        const Cut* cuts = strip.cuts.begin();
        Pace pace(sample.interrupt);
        for (std::int64_t begin = strip.begin; begin < strip.end; begin += pixels_at_once) {
            const std::int64_t end = std::min(strip.end, begin + pixels_at_once);
            for (std::int64_t pixel = begin; pixel < end; ++pixel) {
                const Cut cut = cuts[stop_[pixel]];
                const bool is_cut = superlevel ? values[pixel] > cut.value : values[pixel] < cut.value;
                const auto here = static_cast<Position>(pixel);
                indices[pixel] = first + static_cast<Index>(here ^ ((here ^ cut.saddle) & (Position{0} - is_cut)));
            }
            pace.after(end - begin);
        }
    }

    static constexpr std::int64_t pixels_at_once = 1 << 14;
    static constexpr Position unknown = std::numeric_limits<Position>::max();

    const std::uint8_t* codes_ = nullptr;
    std::array<std::int64_t, 32> steps_{};
    Buffer<Position> stop_;  // of every pixel: its number within the strip
    std::vector<Strip> strips_;
    std::vector<Cut*> passed_;
    Cuts<Value> cuts_;
};

}  // namespace topolayer
