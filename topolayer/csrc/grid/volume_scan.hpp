// The one pass over a volume for all dimensions. Components, and by duality cavities, live on two sides: the edges of voxels,
// and their solids. What loops need of a voxel goes into a word.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/comparisons.hpp"
#include "grid/grid.hpp"
#include "grid/neighborhood.hpp"
#include "grid/pixel_map.hpp"
#include "grid/scan.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// What is known of a voxel: the state of its lower link; which neighbors are earlier; which of the edges to them count in a cycle,
// as all do but the last of a component of the link, unless it closes a loop; whether the voxel lies on the border.
template <class Kind>
struct Voxel {
    using Word = std::uint32_t;
    using Edges = typename Kind::Edges;
    static constexpr Word border = Word{1} << 31, all_edges = (Word{1} << Kind::directions) - 1;

    static Word make(unsigned state, Edges earlier, Edges last) {
        const Word counting = Word{static_cast<Edges>(earlier & ~last)} << counting_from;
        return state | counting | (state_is_earlier ? 0 : Word{earlier} << earlier_from);
    }

    static unsigned state(Word voxel) { return voxel & ((Word{1} << Kind::state_bits) - 1); }
    // The lowest bits, with others behind them.
    static Word counting(Word voxel) { return voxel >> counting_from; }
    static Word earlier(Word voxel) { return voxel >> (state_is_earlier ? 0 : earlier_from); }

    static Word with_counting(Word voxel, Edges edges) {
        return (voxel & ~(all_edges << counting_from)) | Word{edges} << counting_from;
    }

    static Word with_closing(unsigned direction) { return Word{1} << (counting_from + direction); }

private:
    static constexpr bool state_is_earlier = Kind::directions == Kind::state_bits;
    static constexpr unsigned counting_from = Kind::state_bits, earlier_from = counting_from + Kind::directions;
};

// Where the values belong to solids (top cells), the order is reversed for the edges, else for the solids.
template <class Value, class Kind>
class VolumeScan {
public:
    using Task = typename Band<Value>::Task;

    // Rows [begin_row, end_row) of both tasks. `words`: of all voxels, or nullptr where no loops are looked for.
    void operator()(const Task& edges, Band<Value>& edge_band, const Task& solids, Band<Value>& solid_band, std::uint32_t* words) {
        edge_band.clear();
        solid_band.clear();
        const Sample<Value>& sample = edges.sample;
        const Grid& grid = solids.grid;  // whose neighborhood is the larger one
        const std::int64_t width = grid.shape()[2];
        std::int64_t collected = edges.begin_row * width;
        const auto room = static_cast<std::size_t>(width + PixelMap::word);
        std::vector<Mask> edge_links(room), solid_links(room);  // of voxels that are not collected yet
        Comparisons<Value, Mask> comparisons(sample, grid, edges.begin_row);
        Pace pace(sample.interrupt);
        for (std::int64_t row = edges.begin_row; row < edges.end_row; ++row) {
            const std::int64_t first = row * width, end = first + width;
            Mask* const edge_link = edge_links.data() + (first - collected);
            Mask* const solid_link = solid_links.data() + (first - collected);
            comparisons.find_links(row, edge_link);
            edge_band.all_finite &= are_finite(sample.values + first, width);
            find_states(edges, solids, row, edge_link, solid_link, words ? words + first : nullptr);
            const std::int64_t complete = row + 1 == edges.end_row ? end : end - end % PixelMap::word;
            if (complete > collected) {
                edge_band.collect(edges, edge_links.data(), collected, complete);
                solid_band.collect(solids, solid_links.data(), collected, complete);
                for (auto* links : {&edge_links, &solid_links})
                    std::copy(links->data() + (complete - collected), links->data() + (end - collected), links->data());
                collected = complete;
            }
            pace.after(width);
        }
        solid_band.all_finite = edge_band.all_finite;
    }

private:
    using Mask = std::conditional_t<Kind::connectivity == Connectivity::vertices, std::uint32_t, std::uint16_t>;
    using Summary = typename VoxelLinks<Kind>::Summary;

    // `edge_link` comes with the links in the order of the filtration.
    void find_states(const Task& edges, const Task& solids, std::int64_t row, Mask* __restrict edge_link,
                     Mask* __restrict solid_link, std::uint32_t* __restrict words) const {
        const std::int64_t width = edges.grid.shape()[2];
        const Neighborhood& of_solids = solids.grid.neighborhood();
        const auto all = static_cast<Mask>(of_solids.all());
        const auto of_edges = static_cast<Mask>(edges.grid.neighborhood().all());
        const auto flip = edges.reversed ? all : Mask{0};
        std::uint8_t* const edge_codes = edges.map.codes() + row * width;
        std::uint8_t* const solid_codes = solids.map.codes() + row * width;
        const Summary* const summaries = links_.summaries();
        for (std::int64_t x = 0; x < width; ++x) {
            const auto earlier = static_cast<Mask>(edge_link[x] ^ flip), later = static_cast<Mask>(earlier ^ all);
            const unsigned state = links_.state(earlier & of_edges);
            const Summary& summary = summaries[state];
            edge_link[x] = earlier & of_edges;
            solid_link[x] = later;
            if (words) words[x] = Voxel<Kind>::make(state, summary.earlier, summary.last);
            edge_codes[x] = summary.code;
            solid_codes[x] = VoxelLinks<Kind>::loops(summary, earlier) == 0
                                 ? static_cast<std::uint8_t>(std::bit_width(later) - 1)
                                 : of_solids.code(later);
        }
        if (words) mark_border(edges.grid, row, words);
        Band<Value>::lead_outwards(edges.reversed ? edges.grid : solids.grid, row, edges.reversed ? edge_codes : solid_codes);
    }

    static void mark_border(const Grid& grid, std::int64_t row, std::uint32_t* words) {
        const auto [depth, height, width] = grid.shape();
        const std::int64_t y = row % height, z = row / height;
        if (y == 0 || y == height - 1 || z == 0 || z == depth - 1)
            for (std::int64_t x = 0; x < width; ++x) words[x] |= Voxel<Kind>::border;
        words[0] |= Voxel<Kind>::border;
        words[width - 1] |= Voxel<Kind>::border;
    }

    const VoxelLinks<Kind>& links_ = VoxelLinks<Kind>::get();
};

}  // namespace topolayer
