// Induced matchings of two functions on a grid, with the bars of both: in H0 and, by duality, in the top dimension; for loops of
// volumes see loop_matching.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/matching.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/labels.hpp"
#include "grid/loop_matching.hpp"
#include "grid/meetings.hpp"
#include "grid/merging.hpp"
#include "grid/pixel_map.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// A grid with what is dual to it.
struct GridAndDual {
    explicit GridAndDual(const Grid& given) : grid(given), dual(given.dual()), meetings(grid, false), dual_meetings(dual, true) {}

    Grid grid, dual;
    Meetings meetings, dual_meetings;
};

// The persistence of the image of f in the comparison c, which comes earlier, has births of f and deaths of c; a bar of f and one
// of g are matched if the images of both have the same death and their births. If c comes later, the image is that of c, and
// birth and death change places. Either the births or the deaths in c are extrema, and f and g carry them as labels; or they are
// arcs, and c carries the extrema of f and g. In the top dimension all orders are reversed.
//
// Buffers are kept from one sample to the next.
template <class Value>
class GridMatching {
public:
    // For each of the dimensions, which ascend. There are no bars above the grid's own.
    void operator()(const Sample<Value>& first, const Sample<Value>& second, const GridAndDual& grids, std::span<const int> dims,
                    Comparison comparison, MatchedBars* found) {
        const Grid& grid = grids.grid;
        const auto size = static_cast<std::size_t>(grid.size());
        const bool finite = are_finite(first.values, grid.size()) && are_finite(second.values, grid.size());
        for (std::size_t i = 0; i < dims.size(); ++i) found[i].first.nonfinite = found[i].second.nonfinite = !finite;
        if (!finite) return;
        const std::int64_t top_dimension = grid.axes() - 1;
        MatchedBars *h0 = nullptr, *loops = nullptr, *top = nullptr;
        for (std::size_t i = 0; i < dims.size(); ++i) {
            if (dims[i] == 0) h0 = &found[i];
            if (dims[i] == 1 && top_dimension == 2) loops = &found[i];
            if (dims[i] > 0 && dims[i] == top_dimension && !grids.dual.all_on_border()) top = &found[i];
        }
        compared_.renew(size);
        const bool lower = (comparison == Comparison::union_) != first.superlevel;
        for (std::size_t i = 0; i < size; ++i)
            compared_[i] = lower ? std::min(first.values[i], second.values[i]) : std::max(first.values[i], second.values[i]);
        first_.sample.emplace(first);
        second_.sample.emplace(second);
        both_.sample.emplace(first);
        both_.sample->values = compared_.begin();
        const bool in_plane = h0 && top && grid.shape()[0] == 1;
        for (Side* side : sides()) {
            side->scanned = {};
            side->in_plane = in_plane;
            if (in_plane) side->plane.links.renew(size);
        }
        if (loops || (h0 && top && top_dimension == 2)) {
            if (grid.connectivity() == Connectivity::freudenthal)
                match_volumes(grids, comparison, h0, loops, top, freudenthal_);
            else
                match_volumes(grids, comparison, h0, loops, top, cubical_);
        } else {
            match_extrema(grids, comparison, h0, top);
        }
    }

    std::size_t bytes() const {
        std::size_t result = (cubical_ ? cubical_->bytes() : 0) + (freudenthal_ ? freudenthal_->bytes() : 0) + merging_.bytes() +
                             compared_.bytes() + one_.bytes() + two_.bytes();
        for (const Side* side : {&first_, &second_, &both_})
            result += side->own.bytes() + side->plane.links.bytes() + side->plane.loops.bytes() +
                      side->bars.bytes() + side->partners.bytes();
        return result;
    }

private:
    struct Side {
        std::optional<Sample<Value>> sample;
        bool in_plane = false;
        Plane plane;
        // Of a volume of which one scan has found both: in the order of the filtration, and reversed. Else `own` is scanned.
        std::array<ExtremumGraph<Value>*, 2> scanned{};
        ExtremumGraph<Value> own;
        ExtremumGraph<Value>* graph = nullptr;  // the one of these that is looked at
        Buffer<Label> bars;      // the extremum of each, in the order of the bars
        Buffer<Label> partners;  // of the extrema of another side
    };

    std::array<Side*, 3> sides() { return {&first_, &second_, &both_}; }

    // Several dimensions of volumes, from one scan of each.
    template <class Kind>
    void match_volumes(const GridAndDual& grids, Comparison comparison, MatchedBars* h0, MatchedBars* loops, MatchedBars* top,
                       std::optional<LoopMatching<Value, Kind>>& kept) {
        if (!kept) kept.emplace();
        for (auto [side, volume] : {std::pair(&first_, &kept->first), std::pair(&second_, &kept->second),
                                    std::pair(&both_, &kept->both)}) {
            volume->scan(*side->sample, grids.grid, grids.dual, loops != nullptr, true);
            side->scanned = {&volume->graph(false), &volume->graph(true)};
        }
        match_extrema(grids, comparison, h0, top);
        if (loops)
            (*kept)(*first_.sample, *second_.sample, *both_.sample, comparison, grids.grid, grids.dual, merging_, *loops);
    }

    void match_extrema(const GridAndDual& grids, Comparison comparison, MatchedBars* h0, MatchedBars* top) {
        if (h0) match(grids, false, comparison, *h0);
        if (top) match(grids, true, comparison, *top);
    }

    void match(const GridAndDual& grids, bool reversed, Comparison comparison, MatchedBars& found) {
        if ((comparison == Comparison::union_) != reversed)
            by_arcs_of_both(grids, reversed, found);
        else
            by_extrema_of_both(grids, reversed, found);
        list_pairs(found.pairs);
    }

    void by_arcs_of_both(const GridAndDual& grids, bool reversed, MatchedBars& found) {
        for (auto [side, bars] : {std::pair(&first_, &found.first), std::pair(&second_, &found.second)}) {
            scan(*side, grids, reversed, false);
            side->graph->link(*side->sample, reversed ? grids.dual : grids.grid);
            merging_.unite(*side->graph, side->sample->interrupt);
            list(*side, reversed, *bars);
        }
        forget_partners(first_, first_.graph->extrema());
        if (reversed) mark_loops(both_, ~std::uint64_t{0});
        scan(both_, grids, reversed, true);
        const auto gone = [&](Label, const std::array<Label, 2>& labels) { first_.partners[labels[0]] = labels[1]; };
        unite_with_labels<2>(both_, grids, reversed, {first_.graph, second_.graph}, two_, gone);
    }

    void by_extrema_of_both(const GridAndDual& grids, bool reversed, MatchedBars& found) {
        if (reversed) mark_loops(both_, 0);
        scan(both_, grids, reversed, false);
        for (auto [side, bars] : {std::pair(&first_, &found.first), std::pair(&second_, &found.second)}) {
            scan(*side, grids, reversed, true);
            forget_partners(*side, both_.graph->extrema());
            const auto gone = [&](Label younger, const std::array<Label, 1>& labels) {
                side->partners[labels[0]] = younger;
            };
            unite_with_labels<1>(*side, grids, reversed, {both_.graph}, one_, gone);
            list(*side, reversed, *bars);
        }
        both_.partners.swap(first_.partners);
        forget_partners(first_, first_.graph->extrema());
        for (std::size_t label = 0; label < both_.partners.size(); ++label)
            if (both_.partners[label] != none) first_.partners[both_.partners[label]] = second_.partners[label];
    }

    void scan(Side& side, const GridAndDual& grids, bool reversed, bool keeps_links) {
        side.graph = side.scanned[reversed] ? side.scanned[reversed] : &side.own;
        if (side.graph != &side.own) return;
        side.own.scan(*side.sample, reversed ? grids.dual : grids.grid, reversed, side.in_plane ? &side.plane : nullptr,
                      keeps_links);
    }

    template <std::size_t functions, class Gone>
    void unite_with_labels(Side& side, const GridAndDual& grids, bool reversed,
                           const std::array<const ExtremumGraph<Value>*, functions>& others,
                           Carrying<Value, functions>& carried, Gone gone) {
        const Grid& grid = reversed ? grids.dual : grids.grid;
        side.graph->link(*side.sample, grid, reversed ? grids.dual_meetings : grids.meetings);
        Labels<Value, functions, Gone> labels(others, *side.graph, grid, side.sample->interrupt, carried, gone);
        merging_.unite(*side.graph, side.sample->interrupt, labels);
    }

    void list(Side& side, bool reversed, Bars& bars) {
        reversed ? merging_.list_top(*side.graph, bars) : merging_.list_h0(*side.graph, bars);
        side.bars.renew(merging_.deaths().size());
        auto* label = side.bars.begin();
        for (const auto& death : merging_.deaths()) *label++ = death.label;
        if (side.in_plane && !reversed) find_loops(*side.graph, static_cast<std::int64_t>(compared_.size()), side.plane);
    }

    void mark_loops(Side& side, std::uint64_t word) const {
        if (!side.in_plane) return;
        side.plane.loops.renew((compared_.size() + PixelMap::word - 1) / PixelMap::word);
        std::fill(side.plane.loops.begin(), side.plane.loops.end(), word);
    }

    static void forget_partners(Side& side, std::size_t extrema) {
        side.partners.renew(extrema);
        std::fill(side.partners.begin(), side.partners.end(), none);
    }

    // From extrema of the first, with partners that are extrema of the second, to bars.
    void list_pairs(std::vector<std::int64_t>& pairs) {
        Buffer<Label>& bar_of = second_.partners;
        bar_of.renew(second_.graph->extrema());
        std::fill(bar_of.begin(), bar_of.end(), none);
        for (std::size_t bar = 0; bar < second_.bars.size(); ++bar) bar_of[second_.bars[bar]] = static_cast<Label>(bar);
        for (std::size_t bar = 0; bar < first_.bars.size(); ++bar) {
            const Label partner = first_.partners[first_.bars[bar]];
            if (partner == none) continue;
            pairs.push_back(static_cast<std::int64_t>(bar));
            pairs.push_back(bar_of[partner]);
        }
    }

    static constexpr Label none = std::numeric_limits<Label>::max();

    Side first_, second_, both_;
    Buffer<Value> compared_;
    Merging<Value> merging_;
    std::optional<LoopMatching<Value, CubicalKind>> cubical_;
    std::optional<LoopMatching<Value, FreudenthalKind>> freudenthal_;
    Carrying<Value, 1> one_;
    Carrying<Value, 2> two_;
};

}  // namespace topolayer
