// Persistence of grids: H0 from the extremum graph, and by duality the top dimension, H1 in 2D and H2 in 3D; between them the
// loops of volumes.
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
#include "common/interrupt.hpp"
#include "common/merge_tree.hpp"
#include "common/parallel.hpp"
#include "common/sample.hpp"
#include "common/sort.hpp"
#include "common/values.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/loops.hpp"
#include "grid/merging.hpp"
#include "grid/pixel_map.hpp"
#include "grid/volume.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// Buffers are kept from one sample to the next.
template <class Value>
class GridPersistence {
public:
    // Bars for each of the dimensions, which ascend; there are none above the grid's own. `dual` is that of the grid.
    void operator()(const Sample<Value>& sample, const Grid& grid, const Grid& dual, std::span<const int> dims, Bars* bars) {
        const std::int64_t top_dimension = grid.axes() - 1;
        std::array<Bars*, 3> wanted{};  // by dimension
        for (std::size_t i = 0; i < dims.size(); ++i)
            if (dims[i] == 0 || dims[i] <= top_dimension) wanted[static_cast<std::size_t>(dims[i])] = &bars[i];
        Bars* const top_bars = top_dimension > 0 ? wanted[static_cast<std::size_t>(top_dimension)] : nullptr;
        bool finite = true;
        if (top_dimension == 2 && (wanted[1] || (wanted[0] && wanted[2] && !dual.all_on_border())))
            finite = volume(sample, grid, dual, wanted);
        else if (wanted[0] && top_bars)
            finite = h0_and_top(sample, grid, dual, *wanted[0], *top_bars);
        else if (wanted[0])
            finite = h0(sample, grid, nullptr, *wanted[0]);
        else if (top_bars)
            finite = top(sample, dual, nullptr, *top_bars);
        else
            finite = are_finite(sample.values, grid.size());
        for (std::size_t i = 0; i < dims.size(); ++i) bars[i].nonfinite = !finite;
    }

    // The merge tree of H0, by labels; nullptr if a value is not finite.
    const MergeTree* tree(const Sample<Value>& sample, const Grid& grid) {
        if (!graph_.build(sample, grid, false, nullptr)) return nullptr;
        tree_.renew(graph_.extrema());
        Label label = 0;
        graph_.for_each_extremum([&](const Extremum<Value>& extremum) {
            tree_[label] = {extremum.position, extremum.position, label};
            ++label;
        });
        merging_.unite(graph_, sample.interrupt, Branches{tree_});
        return &tree_;
    }

    // One for each pixel, after the last computation; see grid/neighborhood.hpp.
    const std::uint8_t* codes() { return graph_.codes(); }

    std::size_t bytes() const {
        return graph_.bytes() + (cubical_ ? cubical_->bytes() : 0) + (freudenthal_ ? freudenthal_->bytes() : 0) +
               merging_.bytes() + plane_.links.bytes() + plane_.loops.bytes() + tree_.bytes();
    }

private:
    using Word = Key<Value>;

    // What is noted of every arc.
    struct Branches : NoNotes<Value> {
        MergeTree& tree;

        explicit Branches(MergeTree& branches) : tree(branches) {}

        void meet(Label older, Label younger, Position saddle, Word, bool) {
            tree[younger].saddle = saddle;
            tree[younger].older = older;
        }
    };

    // What follows gives false if a value is not finite; then there are no bars.
    bool h0(const Sample<Value>& sample, const Grid& grid, Plane* plane, Bars& bars) {
        if (!graph_.build(sample, grid, false, plane)) return false;
        merging_.unite(graph_, sample.interrupt);
        merging_.list_h0(graph_, bars);
        return true;
    }

    // The top dimension: H0 in the reversed order of values and positions, in which the outside of the grid comes first;
    // what is born there dies here.
    bool top(const Sample<Value>& sample, const Grid& dual, Plane* plane, Bars& bars) {
        if (dual.all_on_border()) return are_finite(sample.values, dual.size());
        if (!graph_.build(sample, dual, true, plane)) return false;
        merging_.unite(graph_, sample.interrupt);
        merging_.list_top(graph_, bars);
        return true;
    }

    // Both. Those of a plane are found with one comparison of its pixels, and a saddle where H0 closes no loop unites nothing
    // in the reversed order: half of all saddles are left out there.
    bool h0_and_top(const Sample<Value>& sample, const Grid& grid, const Grid& dual, Bars& h0_bars, Bars& top_bars) {
        const bool is_plane = grid.shape()[0] == 1 && !dual.all_on_border();
        if (is_plane) plane_.links.renew(static_cast<std::size_t>(grid.size()));
        Plane* const plane = is_plane ? &plane_ : nullptr;
        if (!h0(sample, grid, plane, h0_bars)) return false;
        if (dual.all_on_border()) return true;
        if (is_plane) find_loops(graph_, grid.size(), plane_);
        return top(sample, dual, plane, top_bars);
    }

    // Several dimensions of a volume, from one scan.
    bool volume(const Sample<Value>& sample, const Grid& grid, const Grid& dual, const std::array<Bars*, 3>& bars) {
        if (grid.connectivity() == Connectivity::freudenthal) return volume(sample, grid, dual, bars, freudenthal_);
        return volume(sample, grid, dual, bars, cubical_);
    }

    // Top cells are the duals of vertices: their H1 is that of the vertices in the reversed order, with the outside of the grid as
    // the first of them, and with birth and death exchanged.
    template <class Kind>
    bool volume(const Sample<Value>& sample, const Grid& grid, const Grid& dual, const std::array<Bars*, 3>& bars,
                std::optional<Volume<Value, Kind>>& kept) {
        if (!kept) kept.emplace();
        Volume<Value, Kind>& volume = *kept;
        const bool reversed = grid.connectivity() == Connectivity::top_cells, with_loops = bars[1] != nullptr;
        const Grid &edge_grid = reversed ? dual : grid, &solid_grid = reversed ? grid : dual;
        if (!volume.scan(sample, grid, dual, with_loops, false)) return false;
        unite_and_list(sample, edge_grid, volume.edges, with_loops, bars);
        if (with_loops) volume.find_closing_edges(grid.size());
        volume.solids.take_room_of(volume.edges);
        unite_and_list(sample, solid_grid, volume.solids, with_loops, bars);
        if (with_loops) {
            volume.list_filling_faces(solid_grid);
            if (grid.size() >= values_worth_waiting) {  // so much would not be kept anyway
                volume.release();
                merging_.release();
            }
            list_loops(volume.loops, volume.loops.pair(sample, grid, reversed), sample, reversed, *bars[1]);
        }
        return true;
    }

    void unite_and_list(const Sample<Value>& sample, const Grid& grid, ExtremumGraph<Value>& graph, bool complete,
                        const std::array<Bars*, 3>& bars) {
        if (complete)
            graph.template link<true>(sample, grid);
        else
            graph.template link<false>(sample, grid);
        merging_.unite(graph, sample.interrupt);
        if (graph.reversed() ? bars[2] : bars[0])
            graph.reversed() ? merging_.list_top(graph, *bars[2]) : merging_.list_h0(graph, *bars[0]);
    }

    template <class Kind>
    void list_loops(const Loops<Value, Kind>& loops, const Buffer<std::uint32_t>& partners, const Sample<Value>& sample,
                    bool reversed, Bars& bars) {
        const Value* const values = sample.values;
        const auto key = [&](Position position) { return order_key(values[position], sample.superlevel); };
        // Births, with deaths in C order, and other buffers that are free again.
        using Death = typename Merging<Value>::Death;
        const auto buffers = merging_.buffers();
        Buffer<Death>& found = buffers.deaths;
        Buffer<Position>& saddle_of = buffers.saddle_of;
        Buffer<Keyed<Word>>& order = buffers.order;
        found.clear();
        const auto list = [&](Position birth, Position death) {
            if (key(birth) == key(death)) return;
            found.push_back({birth, death});
            for (Death* end = found.end(); end - found.begin() > 1 && end[-2].saddle == end[-1].saddle; --end) {
                const Position first = end[-2].label, second = end[-1].label;
                if (key(first) != key(second) ? key(first) < key(second) : first <= second) break;
                std::swap(end[-1], end[-2]);
            }
        };
        if (reversed) {
            for (std::uint32_t edge = 0; edge < loops.edges.size(); ++edge)
                if (partners[edge] != CellIndex::none) list(loops.faces[partners[edge]], loops.edges[edge]);
        } else {
            saddle_of.renew(loops.faces.size());
            std::fill(saddle_of.begin(), saddle_of.end(), unknown);
            for (std::uint32_t edge = 0; edge < loops.edges.size(); ++edge)
                if (partners[edge] != CellIndex::none) saddle_of[partners[edge]] = loops.edges[edge];
            for (std::uint32_t face = 0; face < loops.faces.size(); ++face)
                if (saddle_of[face] != unknown) list(saddle_of[face], loops.faces[face]);
        }
        order.clear();
        auto* entry = order.room_for(found.size());
        for (std::uint32_t i = 0; i < found.size(); ++i) *entry++ = {key(found[i].saddle), i};
        order.end_at(entry);
        sort_by_key(order, buffers.spare);
        bars.finite.resize(2 * found.size());
        auto* bar = bars.finite.data();
        for (const auto& sorted : order) {
            *bar++ = found[sorted.index].label;
            *bar++ = found[sorted.index].saddle;
        }
    }

    static constexpr Position unknown = std::numeric_limits<Position>::max();

    ExtremumGraph<Value> graph_;
    std::optional<Volume<Value, CubicalKind>> cubical_;
    std::optional<Volume<Value, FreudenthalKind>> freudenthal_;
    Merging<Value> merging_;
    Plane plane_;
    MergeTree tree_;
};

}  // namespace topolayer
