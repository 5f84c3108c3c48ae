// Loops of one function that live on in another one: the pairs of edges and faces of image persistence, by reduction of the
// matrix with its rows, the edges, in the order of the first function, and its columns, the faces, in that of the second.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "common/buffer.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "common/values.hpp"
#include "grid/chains.hpp"
#include "grid/common_cells.hpp"
#include "grid/grid.hpp"
#include "grid/loops.hpp"
#include "grid/volume_scan.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// An edge by its last voxel and its direction; or a face that fills a loop by its last voxel and its number, or 0 where only one
// cycle of faces is to be paired at the voxel.
struct LoopCell {
    Position voxel;
    std::uint8_t number;

    auto operator<=>(const LoopCell&) const = default;
};

struct LoopPair {
    LoopCell edge, face;
};

// No voxel may enter the second function, that of the columns, after the first, that of the rows. What can be cancelled in both
// is no row and no column, see common_cells.hpp. Chains are pushed as for loops of one function, see loops.hpp, and where the two
// functions agree it is the same; but no voxel bounds them, as edges may enter the first function after the face.
//
// Only pairs of positive length are given, where the value of the edge in the first function precedes that of the face in the
// second. For these the order is free of edges that enter after all faces, and of faces that enter before all edges.
//
// Buffers are kept from one call to the next.
template <class Value, class Kind>
class ImageLoops {
public:
    using Faces = typename Kind::Faces;
    using Edges = typename Kind::Edges;
    using Word = std::uint32_t;

    // A function; one in the order of which its voxels enter, the same but for ties; and the loops of a Volume of that one, with
    // edges marked and filling faces found.
    struct Function {
        const Sample<Value>& sample;
        const Sample<Value>& ordered;
        const Loops<Value, Kind>& loops;
    };

    // The pairs of positive length. `reversed`: both orders are, and the outside of the grid comes before all.
    void operator()(const Function& of_rows, const Function& of_columns, const Grid& grid, bool reversed,
                    std::vector<LoopPair>& pairs) {
        grid_ = &grid;
        reversed_ = reversed;
        const auto order_of = [&](const Sample<Value>& sample) { return Order(sample.values, sample.superlevel, reversed); };
        const Order row_order = order_of(of_rows.ordered), column_order = order_of(of_columns.ordered);
        column_order_ = &column_order;
        cells_.find(of_rows.loops, of_columns.loops, grid, column_order, reversed);
        words_ = cells_.words();
        site_of_.renew(static_cast<std::size_t>(grid.size()));
        std::fill(site_of_.begin(), site_of_.end(), none);
        sites_.clear();
        Arena arena;
        reduce(row_order, of_rows.sample.interrupt, arena);
        pairs.clear();
        const Order births = order_of(of_rows.sample), deaths = order_of(of_columns.sample);
        for (const Site& site : sites_) list_pairs(site, births, deaths, pairs);
    }

    std::size_t bytes() const { return cells_.bytes() + site_of_.bytes() + sites_.capacity() * sizeof(Site); }

private:
    using Links = VoxelLinks<Kind>;
    using V = Voxel<Kind>;
    using Cells = CommonCells<Value, Kind>;
    using Column = typename Cells::Column;
    using State = typename Links::State;
    using Order = VoxelOrder<Value>;
    using Sum = Chain<Value, Edges>;
    using Stored = StoredChain<Edges>;
    static constexpr unsigned directions = Kind::directions;

    // A voxel at which edges are left: the chain of each that has one, the oldest that ends there.
    struct Site {
        Position voxel;
        std::array<const Stored*, directions> owners;
        typename Cells::Ways ways;  // if the voxel is not whole
    };

    Site& site_at(Position voxel) {
        std::uint32_t& index = site_of_[voxel];
        if (index == none) {
            index = static_cast<std::uint32_t>(sites_.size());
            sites_.push_back({voxel, {}, Cells::is_whole(words_[voxel]) ? typename Cells::Ways{} : cells_.ways_at(voxel)});
        }
        return sites_[index];
    }

    bool older(std::uint32_t a, std::uint32_t b) const {
        const auto first = (*column_order_)(cells_.columns()[a].voxel), second = (*column_order_)(cells_.columns()[b].voxel);
        return first != second ? first < second : a < b;
    }

    void reduce(const Order& row_order, Interrupt& interrupt, Arena& arena) {
        if (cells_.columns().size() > std::numeric_limits<std::uint32_t>::max())
            throw std::length_error("values: a sample has more than 2**32 faces that may fill loops; split it into parts");
        Sum sum(row_order, grid_->size());
        Pace pace(interrupt);
        for (std::uint32_t column = 0; column < cells_.columns().size(); ++column) reduce_column(column, sum, arena, pace);
    }

    // As in loops.hpp.
    void reduce_column(std::uint32_t column, Sum& sum, Arena& arena, Pace& pace) {
        std::uint32_t residual = 0;
        Position voxel = 0;
        sum.start();
        start(cells_.columns()[column], sum);
        for (;;) {
            while (residual == 0) {
                Edges cells;
                pace.after(1);
                if (!sum.pop(voxel, cells)) return;
                residual = pass(voxel, cells, sum);
            }
            const Stored*& row = site_at(voxel).owners[std::bit_width(residual) - 1];
            const Stored* const owner = row;
            if (!owner || older(column, owner->column)) {
                row = sum.store(arena, column, residual);
                if (!owner) return sum.clear();
                column = owner->column;
            }
            residual ^= owner->residual;
            sum.add(*owner);
        }
    }

    void start(const Column& column, Sum& sum) const {
        add_outer_edges(column.voxel, column.faces, sum);
        if (column.is_cycle) return;
        for (const unsigned end : links_.ends(static_cast<unsigned>(std::countr_zero(column.faces))))
            add_edge(column.voxel, column.voxel + cells_.step(end), end, sum);
    }

    // Pushes the edges of a voxel, and says which are left.
    std::uint32_t pass(Position voxel, Edges cells, Sum& sum) {
        sum.look_ahead([&](Position next) { prefetch_around(next, sum); });
        const Word word = words_[voxel];
        Faces pushed = 0;
        std::uint32_t residual = 0;
        if (Cells::is_whole(word)) {
            const State& link = cells_.state(word);
            for (Edges left = cells; left; left &= static_cast<Edges>(left - 1)) pushed ^= link.way[std::countr_zero(left)];
            // Of the first component as much is left as of all others, so it is not looked at.
            for (Edges left = static_cast<Edges>(link.last & (link.last - 1)); left; left &= static_cast<Edges>(left - 1)) {
                const int root = std::countr_zero(left);
                const int odd = std::popcount(static_cast<Edges>(cells & link.component[root])) & 1;
                residual |= static_cast<std::uint32_t>(odd) << root;
            }
        } else {
            const Site& site = site_at(voxel);
            for (Edges left = cells; left; left &= static_cast<Edges>(left - 1)) {
                const int edge = std::countr_zero(left);
                pushed ^= site.ways.faces[edge];
                residual ^= std::uint32_t{1} << site.ways.root[edge];
            }
        }
        add_outer_edges(voxel, pushed, sum);
        return residual;
    }

    // Chains are all over the volume.
    void prefetch_around(Position voxel, const Sum& sum) const {
        const auto row = static_cast<Position>(grid_->shape()[2]), plane = row * static_cast<Position>(grid_->shape()[1]);
        for (const Position near : {voxel, voxel - row, voxel + row, voxel - plane, voxel + plane}) {
            if (near >= site_of_.size()) continue;
            prefetch(words_ + near);
            sum.prefetch(near);
        }
    }

    // The boundary of faces, but for the edges at this voxel.
    void add_outer_edges(Position voxel, Faces faces, Sum& sum) const {
        const bool by_the_outside = reversed_ && (words_[voxel] & V::border);
        for (; faces; faces &= static_cast<Faces>(faces - 1))
            for (const auto [from, along] : links_.outer(static_cast<unsigned>(std::countr_zero(faces)))) {
                const Position near = voxel + cells_.step(from), far = near + cells_.step(along);
                if (by_the_outside && !is_inside(voxel, from)) {  // which is before all
                    if (is_inside(voxel, from, along)) add(far, words_[far], Links::opposite(along), sum);
                } else {
                    add_edge(near, far, along, sum);
                }
            }
    }

    // At its last voxel.
    void add_edge(Position near, Position far, unsigned direction, Sum& sum) const {
        if (V::earlier(words_[near]) >> direction & 1)
            add(near, words_[near], direction, sum);
        else
            add(far, words_[far], Links::opposite(direction), sum);
    }

    static void add(Position voxel, Word word, unsigned direction, Sum& sum) {
        if (V::counting(word) >> direction & 1) sum.add(voxel, static_cast<Edges>(Edges{1} << direction));
    }

    bool is_inside(Position voxel, unsigned direction) const {
        const auto& n = links_.offset(direction);
        return is_inside(voxel, n.dz, n.dy, n.dx);
    }
    bool is_inside(Position voxel, unsigned first, unsigned second) const {
        const auto &a = links_.offset(first), &b = links_.offset(second);
        return is_inside(voxel, a.dz + b.dz, a.dy + b.dy, a.dx + b.dx);
    }
    bool is_inside(Position voxel, std::int64_t dz, std::int64_t dy, std::int64_t dx) const {
        const auto [depth, height, width] = grid_->shape();
        const std::int64_t row = voxel / width;
        return grid_->contains(row / height + dz, row % height + dy, voxel % width + dx);
    }

    // Which edge of a voxel it is, of several that loops are born at, depends on the order of edges: the first of a component of
    // the link, in C order or its reverse, stands for it. So the chains that end at the voxel are reduced once more, by age.
    void list_pairs(const Site& site, const Order& births, const Order& deaths, std::vector<LoopPair>& pairs) const {
        const auto born = births.key(site.voxel);
        std::array<const Stored*, directions> chains;
        unsigned count = 0;
        bool lasts = false;
        for (const Stored* owner : site.owners) {
            if (!owner) continue;
            unsigned place = count++;
            for (; place > 0 && older(owner->column, chains[place - 1]->column); --place) chains[place] = chains[place - 1];
            chains[place] = owner;
            lasts |= born < deaths.key(cells_.columns()[owner->column].voxel);
        }
        if (!lasts) return;
        const Word word = words_[site.voxel];
        const State& link = cells_.state(word);
        std::array<Edges, directions> reduced{};  // by the last edge of each
        for (unsigned i = 0; i < count; ++i) {
            std::uint32_t roots = chains[i]->residual;
            if (Cells::is_whole(word) && std::popcount(roots) % 2 != 0) roots |= link.last & -link.last;
            Edges edges = 0;
            for (; roots; roots &= roots - 1) edges ^= first_of(link.component[std::countr_zero(roots)]);
            for (; edges; edges ^= reduced[last_of(edges)]) {
                const unsigned last = last_of(edges);
                if (reduced[last]) continue;
                reduced[last] = edges;
                const Column& column = cells_.columns()[chains[i]->column];
                if (born < deaths.key(column.voxel))
                    pairs.push_back({{site.voxel, static_cast<std::uint8_t>(last)}, {column.voxel, column.number}});
                break;
            }
        }
    }

    Edges first_of(Edges edges) const { return reversed_ ? std::bit_floor(edges) : static_cast<Edges>(edges & -edges); }
    unsigned last_of(Edges edges) const {
        return static_cast<unsigned>(reversed_ ? std::countr_zero(edges) : std::bit_width(edges) - 1);
    }

    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    const Links& links_ = Links::get();
    const Grid* grid_ = nullptr;
    bool reversed_ = false;
    Cells cells_;
    const Order* column_order_ = nullptr;
    const Word* words_ = nullptr;  // of the rows
    Buffer<std::uint32_t> site_of_;
    std::vector<Site> sites_;
};

}  // namespace topolayer
