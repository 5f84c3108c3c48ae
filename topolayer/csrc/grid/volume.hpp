// A function on a volume: what one scan finds of it serves components, cavities and loops.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/extremum_graph.hpp"
#include "grid/grid.hpp"
#include "grid/loops.hpp"
#include "grid/merging.hpp"
#include "grid/scan.hpp"
#include "grid/volume_scan.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// Buffers are kept from one function to the next.
template <class Value, class Kind>
class Volume {
public:
    ExtremumGraph<Value> edges, solids;  // see VolumeScan; where the order is reversed for one of them, it has the cavities
    Loops<Value, Kind> loops;

    // Finds the extrema and saddles of both graphs, with the links of saddles if they are to be kept, and, for loops, the voxels,
    // in which no edge closes a loop yet. False if a value is not finite. `dual` is that of the grid.
    bool scan(const Sample<Value>& sample, const Grid& grid, const Grid& dual, bool with_loops, bool keeps_links) {
        const bool reversed = grid.connectivity() == Connectivity::top_cells;
        const Grid &edge_grid = reversed ? dual : grid, &solid_grid = reversed ? grid : dual;
        if (with_loops) loops.voxels.renew(static_cast<std::size_t>(grid.size()));
        edges.divide(sample, edge_grid, reversed);
        solids.divide(sample, solid_grid, !reversed);
        edges.for_each_part(grid, sample.interrupt, [&](std::int64_t i) {
            auto of_edges = edges.task(i, sample, edge_grid);
            auto of_solids = solids.task(i, sample, solid_grid);
            of_edges.keeps_links = keeps_links;
            of_solids.keeps_links = keeps_links || with_loops;
            VolumeScan<Value, Kind>()(of_edges, edges.band(i), of_solids, solids.band(i),
                                      with_loops ? loops.voxels.begin() : nullptr);
        });
        return edges.number_extrema(grid) && solids.number_extrema(grid);
    }

    ExtremumGraph<Value>& graph(bool reversed) { return edges.reversed() == reversed ? edges : solids; }

    // Before it is known which edges close loops: of every link with several components, the first edge does not.
    void mark_edges() {
        const auto* const states = VoxelLinks<Kind>::get().states();
        edges.for_each_saddle([&](const Saddle& saddle) {
            auto& word = loops.voxels[saddle.position];
            for (auto rest = states[Voxel<Kind>::state(word)].last; rest &= static_cast<decltype(rest)>(rest - 1);)
                word |= Voxel<Kind>::with_closing(static_cast<unsigned>(std::countr_zero(rest)));
        });
    }

    // Of complete edges whose arcs have been united: every arc that unites nothing closes a loop.
    void find_closing_edges(std::int64_t voxels) {
        loops.edges.clear();
        const auto& links = VoxelLinks<Kind>::get();
        const Arc* arc = edges.arcs().begin();
        edges.for_each_saddle([&](const Saddle& saddle) {
            Link rest = saddle.representatives;
            while (rest &= rest - 1) {
                const bool united = arc->a == arc->b;
                ++arc;
                if (united) continue;
                const unsigned direction = links.direction(static_cast<unsigned>(std::countr_zero(rest)));
                loops.voxels[saddle.position] |= Voxel<Kind>::with_closing(direction);
                loops.edges.push_back(saddle.position);
            }
        });
        loops.edges.finish(voxels);
    }

    void find_filling_faces(const Sample<Value>& sample, const Grid& grid, const Grid& dual, Merging<Value>& merging) {
        const Grid& solid_grid = solids.reversed() ? dual : grid;
        solids.template link<true>(sample, solid_grid);
        merging.unite(solids, sample.interrupt);
        list_filling_faces(solid_grid);
    }

    // Of complete solids whose arcs have been united. In the reversed order an arc that unites two components ends a cavity, and
    // all others stand for a face that fills a loop.
    void list_filling_faces(const Grid& solid_grid) {
        loops.faces.clear();
        loops.cycles.clear();
        const auto& links = VoxelLinks<Kind>::get();
        const Arc* arc = solids.arcs().begin();
        std::vector<typename Kind::Faces> cycles;
        solids.for_each_link_of_saddles([&](const Saddle& saddle, Link link) {
            const auto cycle_around = [&](Link rest) {
                return links.around(solid_grid.neighborhood().component(rest & -rest, link));
            };
            cycles.clear();
            Link rest = saddle.representatives;
            const int arcs = std::popcount(rest) - 1;
            if (std::none_of(arc, arc + arcs, [](const Arc& a) { return a.a == a.b; })) {
                // All components are in one piece farther on. Their cycles add up to zero: the longest is left out.
                for (; rest; rest &= rest - 1) cycles.push_back(cycle_around(rest));
                cycles.erase(std::max_element(cycles.begin(), cycles.end(), [](auto a, auto b) {
                    return std::popcount(a) < std::popcount(b);
                }));
            } else {
                for (int i = 0; i < arcs; ++i) {
                    rest &= rest - 1;
                    if (arc[i].a != arc[i].b) cycles.push_back(cycle_around(rest));
                }
            }
            arc += arcs;
            for (const auto cycle : cycles) {
                loops.faces.push_back(saddle.position);
                loops.cycles.push_back(cycle);
            }
        });
        loops.faces.finish(solid_grid.size());
    }

    // What loops do not need makes room for their chains.
    void release() {
        edges.release();
        solids.release();
    }

    std::size_t bytes() const { return edges.bytes() + solids.bytes() + loops.bytes(); }
};

}  // namespace topolayer
