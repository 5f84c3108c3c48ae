// A grid that is too large for the memory comes slab by slab. Of each slab its extrema and arcs are kept, from which the bars
// of the whole are found in the end.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/merging.hpp"

namespace topolayer {

// Pixels of the whole, by number, in C order. Positions in it may be beyond 32 bits.
template <class Value>
struct Places {
    Buffer<std::int64_t> positions;
    Buffer<Value> values;

    void push_back(std::int64_t position, Value value) {
        positions.push_back(position);
        values.push_back(value);
    }
    Label size() const { return static_cast<Label>(positions.size()); }
};

// The extremum graph of the whole. A way that leaves a slab ends at a pixel of the plane beside it. If that plane belongs to the
// slab before, it is known where the way goes on. If it belongs to the next one, the pixel is a door, which gets a label of its
// own until the next slab comes. Labels of doors count downwards from the largest one.
template <class Value>
class StitchedGraph {
public:
    using Word = Key<Value>;

    StitchedGraph(bool superlevel, bool reversed) : high_first_(superlevel != reversed), reversed_(reversed) {
        ends_of_doors_.push_back(none);  // the outside is a door too: its label is known at the end
    }

    // The graph of the next slab, after it was scanned and linked. `first` is the position in the whole of its first pixel.
    void add(ExtremumGraph<Value>& slab, const Sample<Value>& sample, const Grid& grid, std::int64_t first) {
        const auto own_begin = static_cast<Label>(grid.own_begin()), own_end = static_cast<Label>(grid.own_end());
        const auto behind = static_cast<Label>(grid.size()) - own_end, own_extrema = slab.extrema() - own_begin - behind;
        if (std::size_t{extrema()} + own_extrema + ends_of_doors_.size() + behind >= none)
            throw std::length_error("array: it has more than 2**31 extrema; compute parts of it one by one");
        // The pixels beside the slab are its first and its last extrema.
        const Label labels_before = extrema();
        slab.for_each_extremum([&, label = Label{0}](const Extremum<Value>& extremum) mutable {
            if (label - own_begin < own_extrema)
                extrema_.push_back(first + extremum.position, sample.values[extremum.position]);
            ++label;
        });
        doors_.swap(doors_before_);
        doors_.renew(behind);
        std::fill(doors_.begin(), doors_.end(), none);
        const auto in_whole = [&](Label label) {
            if (label < own_begin) return ends_before_[label];
            if (label == slab.outside()) return outside_door;
            if (label - own_begin < own_extrema) return labels_before + (label - own_begin);
            Label& door = doors_[label - own_begin - own_extrema];
            if (door == none) {
                door = ~static_cast<Label>(ends_of_doors_.size());
                ends_of_doors_.push_back(none);
            }
            return door;
        };
        const auto doors = static_cast<Label>(doors_before_.size());
        slab.for_each_end(own_begin, own_begin + doors, grid, sample.interrupt, [&](Label end, Position position) {
            const Label door = doors_before_[position - own_begin];
            if (door != none) ends_of_doors_[~door] = in_whole(end);
        });
        add_arcs(slab, sample, first, in_whole);
        Buffer<Label>& ends = doors_before_;  // whose content is not needed any more
        ends.renew(behind);
        slab.for_each_end(own_end - behind, own_end, grid, sample.interrupt, [&](Label end, Position position) {
            ends[position - (own_end - behind)] = in_whole(end);
        });
        ends.swap(ends_before_);
    }

    // When all slabs are there: every door is replaced by the extremum behind it.
    void finish(Interrupt& interrupt) {
        ends_of_doors_[0] = outside();
        Pace pace(interrupt);
        std::uint32_t count = 0;
        keys_of_arcs_.clear();
        keys_of_arcs_.room_for(arcs_.size());
        for (const Arc& arc : arcs_) {
            const Label a = extremum_behind(arc.a), b = extremum_behind(arc.b);
            pace.after(1);
            if (a == b) continue;
            keys_of_arcs_.push_back({order_key(saddles_.values[arc.saddle], high_first_), count});
            arcs_[count++] = {arc.saddle, a, b};
        }
        arcs_.end_at(arcs_.begin() + count);
        for (auto* labels : {&ends_of_doors_, &ends_before_, &doors_, &doors_before_}) labels->release();
    }

    // What follows is for Merging, to which the number of a saddle or extremum is its position.
    bool reversed() const { return reversed_; }
    Label extrema() const { return extrema_.size(); }
    Label outside() const { return extrema_.size(); }
    Label position_of(Label label) const { return label; }
    Buffer<Arc>& arcs() { return arcs_; }
    Buffer<Keyed<Word>>& keys_of_arcs() { return keys_of_arcs_; }

    template <class Function>
    void for_each_extremum(Function function) const {
        for (const Value value : extrema_.values) function(Extremum<Value>{order_key(value, high_first_), 0});
    }

    const Places<Value>& places_of_extrema() const { return extrema_; }
    const Places<Value>& places_of_saddles() const { return saddles_; }

private:
    static constexpr Label none = std::numeric_limits<Label>::max() / 2, outside_door = ~Label{0};

    template <class InWhole>
    void add_arcs(ExtremumGraph<Value>& slab, const Sample<Value>& sample, std::int64_t first, InWhole in_whole) {
        Position last = std::numeric_limits<Position>::max();  // no saddle is there
        for (const Arc& arc : slab.arcs()) {
            if (arc.saddle != last) saddles_.push_back(first + arc.saddle, sample.values[arc.saddle]);
            last = arc.saddle;
            arcs_.push_back({saddles_.size() - 1, in_whole(arc.a), in_whole(arc.b)});
        }
        if (arcs_.size() > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("array: it has more than 2**32 arcs between extrema; compute parts of it one by one");
    }

    bool is_door(Label label) const { return label > none; }

    // Ways behind doors are shortened when they are gone.
    Label extremum_behind(Label label) {
        while (is_door(label)) {
            Label& end = ends_of_doors_[~label];
            if (is_door(end)) end = ends_of_doors_[~end];
            label = end;
        }
        return label;
    }

    bool high_first_, reversed_;
    Places<Value> extrema_, saddles_;
    Buffer<Arc> arcs_;
    Buffer<Keyed<Word>> keys_of_arcs_;
    Buffer<Label> ends_of_doors_;
    Buffer<Label> ends_before_;  // of ways from the last plane of the slab before
    Buffer<Label> doors_;        // of the plane behind the slab, `none` where nothing leads there
    Buffer<Label> doors_before_;
};

// The bars of one dimension: positions in the whole, and the values there.
struct BarsOfSlabs {
    std::vector<std::int64_t> finite, essential;
    std::vector<double> values, essential_values;
};

template <class Value>
class Slabs {
public:
    // Dimension 0, or the top one: by duality, as in GridPersistence. The first pixel has this position.
    Slabs(std::span<const std::int64_t> shape, Connectivity connectivity, bool superlevel, bool top, std::int64_t first)
        : first_(first),
          shape_(shape.begin(), shape.end()),
          whole_(shape, top ? topolayer::dual(connectivity) : connectivity),
          superlevel_(superlevel),
          empty_(top && (whole_.axes() < static_cast<std::int64_t>(shape.size()) || whole_.all_on_border())),
          stitched_(superlevel, top) {}

    // The next planes, with one of those before and one of those behind, where there are any. False if a value is not finite.
    bool add(std::span<const Value> values, int threads, const std::function<void()>& check) {
        const std::int64_t plane = whole_.size() / shape_[0], planes = static_cast<std::int64_t>(values.size()) / plane;
        const std::int64_t before = done_ > 0, end = done_ - before + planes, behind = end < shape_[0];
        if (static_cast<std::int64_t>(values.size()) != planes * plane) throw std::invalid_argument("a slab has whole planes");
        if (planes <= before + behind || end > shape_[0]) throw std::invalid_argument("a slab has no plane of its own");
        std::vector<std::int64_t> shape = shape_;
        shape[0] = planes;
        const Grid grid = Grid(shape, whole_.connectivity()).slab(before * plane, behind * plane);
        if (grid.size() > std::numeric_limits<Position>::max()) throw std::length_error("a slab has more than 2**32 pixels");
        Interrupt interrupt(check);
        const Sample<Value> sample{values.data(), grid.size(), 0, 0, superlevel_, threads, interrupt};
        const std::int64_t first = first_ + (done_ - before) * plane;
        done_ = end - behind;
        if (empty_) return are_finite(values.data(), grid.size());
        if (!graph_.build(sample, grid, stitched_.reversed(), nullptr)) return false;
        stitched_.add(graph_, sample, grid, first);
        return true;
    }

    BarsOfSlabs bars(const std::function<void()>& check) {
        if (done_ != shape_[0]) throw std::invalid_argument("not all planes have come");
        BarsOfSlabs result;
        if (empty_) return result;
        Interrupt interrupt(check);
        graph_.release();
        stitched_.finish(interrupt);
        Merging<Value> merging;
        merging.unite(stitched_, interrupt);
        Bars found;
        const bool top = stitched_.reversed();
        top ? merging.list_top(stitched_, found) : merging.list_h0(stitched_, found);
        for (std::size_t i = 0; i < found.finite.size(); ++i) {
            const bool is_extremum = (i % 2 == 0) != top;
            const auto& places = is_extremum ? stitched_.places_of_extrema() : stitched_.places_of_saddles();
            const auto number = static_cast<std::size_t>(found.finite[i]);
            result.values.push_back(places.values[number]);
            found.finite[i] = places.positions[number];
        }
        for (std::int64_t& birth : found.essential) {
            const auto number = static_cast<std::size_t>(birth);
            result.essential_values.push_back(stitched_.places_of_extrema().values[number]);
            birth = stitched_.places_of_extrema().positions[number];
        }
        result.finite = std::move(found.finite);
        result.essential = std::move(found.essential);
        return result;
    }

private:
    std::int64_t first_;
    std::vector<std::int64_t> shape_;
    Grid whole_;
    bool superlevel_, empty_;  // there are no bars
    std::int64_t done_ = 0;    // planes that were a slab's own
    ExtremumGraph<Value> graph_;
    StitchedGraph<Value> stitched_;
};

}  // namespace topolayer
