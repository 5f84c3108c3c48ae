// Simplification: which entry's value each entry takes, so that no extrema are left but the kept ones. A component that is
// not kept is cut off at the value of a saddle; the others stay as they are.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "common/buffer.hpp"
#include "grid/extremum_graph.hpp"
#include "graph/h0.hpp"
#include "grid/grid.hpp"
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/parallel.hpp"

namespace topolayer {

// Of grids. The way from a pixel to earlier and earlier ones leads to an extremum, in whose component the pixel is from the
// start: it is cut off with that one if it is earlier than the saddle. Going backwards in C order, the end of a way is known
// where the next pixel on it follows in C order. Where it does not, and at an extremum, the way *stops* for now. Stops are few;
// their ways are followed in a second step.
template <class Value, class Index>
class GridSimplification {
public:
    // False if a value is not finite. `first` is the index of the first value.
    bool operator()(const Value* values, const Grid& grid, bool superlevel, const Kept<Value>& kept, int threads,
                    Index first, Index* indices, ExtremumGraph<Value>& graph, Interrupt& interrupt) {
        const MergeTree* tree = graph.tree(values, grid, superlevel, threads, interrupt);
        if (!tree) return false;
        const Buffer<Position>& cuts = cuts_.find(*tree, values, superlevel, kept);
        steps_.fill(0);
        for (unsigned i = 0; i < grid.neighbors().size(); ++i) steps_[i] = grid.step(i);
        codes_ = graph.codes();
        stop_.renew(static_cast<std::size_t>(grid.size()));
        divide(grid, threads);
        for_each_band(grid, interrupt, [&](Band& band) { find_stops(grid, band, interrupt); });
        for (Label label = 0; label < tree->size(); ++label)
            cut_at((*tree)[label].extremum) = {values[cuts[label]], cuts[label]};
        Pace pace(interrupt);
        for (Band& band : bands_)
            for (std::size_t stop = band.stops.size(); stop-- > 0; pace.after(1)) follow(band, stop);
        for_each_band(grid, interrupt, [&](const Band& band) {
            superlevel ? write<true>(band, values, first, indices, interrupt)
                       : write<false>(band, values, first, indices, interrupt);
        });
        return true;
    }

    std::size_t bytes() const {
        std::size_t result = cuts_.bytes() + stop_.bytes() + passed_.capacity() * sizeof(Cut*);
        for (const Band& band : bands_) result += band.stops.bytes() + band.cuts.bytes();
        return result;
    }

private:
    struct Cut {
        Value value;
        Position saddle;
    };
    // Of rows, one for each thread.
    struct Band {
        std::int64_t begin, end;
        Buffer<Position> stops;  // backwards in C order
        Buffer<Cut> cuts;        // of the stops
    };

    void divide(const Grid& grid, int threads) {
        const std::int64_t count = std::min(parts_of_sample(threads, grid.size()), grid.rows());
        if (bands_.size() != static_cast<std::size_t>(count)) bands_ = std::vector<Band>(static_cast<std::size_t>(count));
        for (std::int64_t i = 0; i < count; ++i) {
            bands_[i].begin = grid.rows() * i / count * grid.shape()[2];
            bands_[i].end = grid.rows() * (i + 1) / count * grid.shape()[2];
        }
    }

    template <class Function>
    void for_each_band(const Grid& grid, Interrupt& interrupt, Function function) {
        const auto count = static_cast<std::int64_t>(bands_.size());
        const auto of_band = [&](std::int64_t i) { function(bands_[i]); };
        if (count == 1)
            of_band(0);
        else
            for_each_task(count, grid.size(), count, interrupt, [&] { return of_band; });
    }

    // Where a way goes at first, by direction.
    struct Moves {
        std::array<std::int64_t, 32> ahead{}, back{};  // to a pixel that follows, or the one before in the same row
        std::array<Position, 32> stops;                // else it stops: all bits are set
    };

    // From a row with so many others behind it in its band.
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

    void find_stops(const Grid& grid, Band& band, Interrupt& interrupt) {
        const auto [depth, height, width] = grid.shape();
        const std::int64_t reach = depth > 1 ? height + 1 : 1;  // rows on to the last neighbor
        const std::uint8_t* const codes = codes_;
        Position* const stop = stop_.begin();
        Moves moves;
        band.stops.clear();
        Position count = 0;
        Pace pace(interrupt);
        for (std::int64_t begin = band.end - width; begin >= band.begin; begin -= width) {
            const std::int64_t rows_behind = (band.end - begin) / width - 1;
            if (rows_behind <= reach) moves = moves_within(rows_behind, grid);
            band.stops.room_for(static_cast<std::size_t>(width));
            Position* const stops = band.stops.begin();
            for (std::int64_t pixel = begin + width - 1; pixel >= begin; --pixel) {
                const unsigned direction = codes[pixel] & code::direction;
                const Position ahead = stop[pixel + moves.ahead[direction]], stops_here = moves.stops[direction];
                stop[pixel] = ahead ^ ((ahead ^ count) & stops_here);  // no branch: in noise it could not be predicted
                stops[count] = static_cast<Position>(pixel);
                count -= stops_here;
            }
            band.stops.end_at(stops + count);
            // A pixel from which the way goes back in its row had no stop yet: it has that of the one before, which has one.
            for (std::int64_t pixel = begin; pixel < begin + width; ++pixel)
                stop[pixel] = stop[pixel - moves.back[codes[pixel] & code::direction]];
            pace.after(width);
        }
        band.cuts.renew(band.stops.size());
        std::fill(band.cuts.begin(), band.cuts.end(), Cut{0, unknown});
    }

    Band& band_at(std::int64_t pixel) {
        std::size_t i = 0;
        while (pixel >= bands_[i].end) ++i;
        return bands_[i];
    }

    Cut& cut_at(Position pixel) { return band_at(pixel).cuts[stop_[pixel]]; }

    // Finds the cut of a stop, and of those on the way.
    void follow(Band& band, std::size_t stop) {
        Cut* cut = &band.cuts[stop];
        for (std::int64_t pixel = band.stops[stop]; cut->saddle == unknown;) {
            passed_.push_back(cut);
            pixel += steps_[codes_[pixel] & code::direction];
            Band& next = band_at(pixel);
            cut = &next.cuts[stop_[pixel]];
            pixel = next.stops[stop_[pixel]];
        }
        for (Cut* passed : passed_) *passed = *cut;
        passed_.clear();
    }

    template <bool superlevel>
    void write(const Band& band, const Value* values, Index first, Index* indices, Interrupt& interrupt) const {
        const Cut* cuts = band.cuts.begin();
        Pace pace(interrupt);
        for (std::int64_t begin = band.begin; begin < band.end; begin += pixels_at_once) {
            const std::int64_t end = std::min(band.end, begin + pixels_at_once);
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
    Buffer<Position> stop_;  // of every pixel: its number within the band
    std::vector<Band> bands_;
    std::vector<Cut*> passed_;
    Cuts<Value> cuts_;
};

// Of graphs. In their merge tree every vertex is a branch, which ends at once if the vertex has an earlier neighbor.
template <class Value, class Index>
class GraphSimplification {
public:
    bool operator()(const Value* values, const Graph& graph, bool superlevel, const Kept<Value>& kept, Index first,
                    Index* indices, Interrupt& interrupt) {
        const MergeTree* tree = h0_.tree(values, graph, superlevel, interrupt);
        if (!tree) return false;
        const Buffer<Position>& cuts = cuts_.find(*tree, values, superlevel, kept);
        for (Label age = 0; age < tree->size(); ++age) {
            const Position vertex = (*tree)[age].extremum, cut = cuts[age];
            const bool is_earlier = superlevel ? values[vertex] > values[cut] : values[vertex] < values[cut];
            indices[vertex] = first + static_cast<Index>(is_earlier ? cut : vertex);
        }
        return true;
    }

private:
    GraphH0<Value> h0_;
    Cuts<Value> cuts_;
};

}  // namespace topolayer
