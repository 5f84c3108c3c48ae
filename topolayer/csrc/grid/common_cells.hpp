// Edges and faces of a volume in the order of two functions at once: what can be cancelled in both, and which faces are left.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "common/buffer.hpp"
#include "common/values.hpp"
#include "grid/chains.hpp"
#include "grid/grid.hpp"
#include "grid/loops.hpp"
#include "grid/volume_scan.hpp"
#include "grid/voxel_links.hpp"

namespace topolayer {

// The first function says when edges come, the second one when faces do. Take the edges and faces whose last voxel is v in the
// first and p in the second function. They enter both at once, so any pair of an edge and a face among them may be cancelled
// (discrete gradient). If v and p are one voxel, they are a part of its link, in which all edges of a component but one are
// cancelled. If not, they are the edge from v to p and faces at it, and one of these is cancelled with the edge.
//
// What is left of the faces whose last voxel in the second function is w: first the columns that it has there, cycles in the
// link of w that close no cavity; then, among the faces that connect a component of that link, those that do so where cancelled
// ones do not. All others depend on these.
//
// Buffers are kept from one call to the next.
template <class Value, class Kind>
class CommonCells {
public:
    using Faces = typename Kind::Faces;
    using Edges = typename Kind::Edges;
    using Word = std::uint32_t;
    using Links = VoxelLinks<Kind>;
    using State = typename Links::State;
    static constexpr unsigned directions = Kind::directions;

    // Faces at their last voxel in the second function: a cycle in its link, of which what is outside of the link is a cycle too,
    // or a single one. The number is that of the face that closes the cycle, or 0 where there is one cycle only.
    struct Column {
        Faces faces;
        Position voxel;
        std::uint8_t number;
        bool is_cycle;
    };

    // How the edges of a voxel are pushed: by which faces, to which edge.
    struct Ways {
        std::array<Faces, directions> faces{};
        std::array<std::uint8_t, directions> root{};
    };

    // Of two volumes with edges marked, and the second with filling faces found.
    void find(const Loops<Value, Kind>& first, const Loops<Value, Kind>& second, const Grid& grid,
              const VoxelOrder<Value>& second_order, bool reversed) {
        reversed_ = reversed;
        order_ = &second_order;
        for (unsigned d = 0; d < directions; ++d) {
            const auto& n = links_.offset(d);
            steps_[d] = static_cast<Position>((n.dz * grid.shape()[1] + n.dy) * grid.shape()[2] + n.dx);
        }
        second_words_ = second.voxels.begin();
        columns_.clear();
        std::uint32_t face = 0;
        if (&first == &second) {
            words_ = second_words_;
            while (face < second.faces.size()) add_cycles(second, face);
            return;
        }
        compare(first.voxels);
        for (const Position voxel : differing_) {
            while (second.faces[face] <= voxel) add_cycles(second, face);
            add_connections(voxel);
        }
        while (face < second.faces.size()) add_cycles(second, face);
    }

    // Of the first function.
    const Word* words() const { return words_; }

    // In C order of their voxels.
    const Buffer<Column>& columns() const { return columns_; }

    Position step(unsigned direction) const { return steps_[direction]; }

    const State& state(Word word) const { return links_.states()[V::state(word)]; }

    // Whether the link of a voxel in the first function is there when the voxel enters the second one. Then edges are pushed as
    // if there were no second function.
    static bool is_whole(Word word) { return !(word & partial); }

    Ways ways_at(Position voxel) const {
        Ways result;
        const Edges edges = earlier(words_[voxel]), at_once = static_cast<Edges>(edges & earlier(second_words_[voxel]));
        const State& common = common_link(voxel);
        for (Edges left = at_once; left; left &= static_cast<Edges>(left - 1)) {
            const int edge = std::countr_zero(left);
            result.faces[edge] = common.way[edge];
            result.root[edge] = static_cast<std::uint8_t>(std::bit_width(common.component[edge]) - 1);
        }
        std::array<std::uint8_t, directions> others;  // in the order in which they enter the second function
        unsigned count = 0;
        const auto entry = [&](unsigned edge) { return (*order_)(voxel + steps_[edge]); };
        for (auto left = static_cast<Edges>(edges & ~at_once); left; left &= static_cast<Edges>(left - 1)) {
            const auto edge = static_cast<std::uint8_t>(std::countr_zero(left));
            unsigned place = count++;
            for (; place > 0 && entry(edge) < entry(others[place - 1]); --place) others[place] = others[place - 1];
            others[place] = edge;
        }
        for (unsigned i = 0; i < count; ++i) {
            const unsigned edge = others[i];
            const Coface* const coface = cancelled(voxel, edge);
            result.faces[edge] = coface ? static_cast<Faces>(coface->face ^ result.faces[coface->beside]) : Faces{0};
            result.root[edge] = coface ? result.root[coface->beside] : others[i];
        }
        return result;
    }

    std::size_t bytes() const { return copied_.bytes() + differing_.bytes() + columns_.bytes(); }

private:
    using V = Voxel<Kind>;
    using Coface = typename Links::Coface;

    static constexpr Word partial = Word{1} << 30;

    static Edges earlier(Word word) { return static_cast<Edges>(V::earlier(word) & V::all_edges); }

    // Copies the words of the first function and finds voxels at which there may be something to connect.
    void compare(const Buffer<Word>& first_words) {
        const std::size_t voxels = first_words.size();
        copied_.renew(voxels);
        differing_.clear();
        for (std::size_t voxel = 0; voxel < voxels; ++voxel) {
            const Word word = copied_[voxel] = first_words[voxel], other = second_words_[voxel];
            if (V::state(word) == V::state(other)) continue;
            const Edges edges = earlier(word), others = earlier(other);
            const Faces faces = state(word).faces, other_faces = state(other).faces;
            if ((edges & ~others) || (faces & ~other_faces)) copied_[voxel] = V::with_counting(word, edges) | partial;
            if ((others & ~edges) || (other_faces & ~faces)) differing_.push_back(static_cast<Position>(voxel));
        }
        words_ = copied_.begin();
    }

    // Those of a voxel.
    void add_cycles(const Loops<Value, Kind>& second, std::uint32_t& face) {
        const Position voxel = second.faces[face];
        const std::uint32_t first = face;
        while (second.faces[face] == voxel) ++face;
        if (face - first == 1)
            columns_.push_back({second.cycles[first], voxel, 0, true});
        else
            add_cycles_in_order(voxel);
    }

    // Where several loops are filled at once, the order of the faces tells by which: each that joins no two pieces of the link
    // closes a cycle. Some may be filled already, or close a cavity; nothing is left of these.
    void add_cycles_in_order(Position voxel) {
        const Faces present = state(second_words_[voxel]).faces;
        Pieces pieces;
        std::array<Faces, directions> way{};  // from the first edge of a piece
        for (unsigned i = 0; i < Kind::faces; ++i) {
            const unsigned face = links_.face_in_order(reversed_ ? Kind::faces - 1 - i : i);
            const auto bit = static_cast<Faces>(Faces{1} << face);
            if (!(present & bit)) continue;
            const auto [a, b] = links_.ends(face);
            const auto cycle = static_cast<Faces>(way[a] ^ way[b] ^ bit);
            const unsigned gone = pieces.of[b];
            if (pieces.of[a] == gone) {
                columns_.push_back({cycle, voxel, static_cast<std::uint8_t>(face), true});
                continue;
            }
            for (unsigned edge = 0; edge < directions; ++edge)
                if (pieces.of[edge] == gone) way[edge] ^= cycle;
            pieces.join(a, b);
        }
    }

    // The pieces that edges of a voxel are in.
    struct Pieces {
        Pieces() {
            for (unsigned edge = 0; edge < directions; ++edge) of[edge] = static_cast<std::uint8_t>(edge);
        }

        // False if they are in one piece already.
        bool join(unsigned a, unsigned b) {
            const std::uint8_t kept = of[a], gone = of[b];
            if (kept != gone) std::replace(of.begin(), of.end(), gone, kept);
            return kept != gone;
        }

        std::array<std::uint8_t, directions> of;
    };

    void add_connections(Position voxel) {
        const Edges edges = earlier(second_words_[voxel]), at_once = static_cast<Edges>(edges & earlier(words_[voxel]));
        Pieces pieces;
        const State& common = common_link(voxel);
        for (Edges left = at_once; left; left &= static_cast<Edges>(left - 1)) {
            const auto edge = static_cast<unsigned>(std::countr_zero(left));
            pieces.join(static_cast<unsigned>(std::countr_zero(common.component[edge])), edge);
        }
        for (auto left = static_cast<Edges>(edges & ~at_once); left; left &= static_cast<Edges>(left - 1)) {
            const auto edge = static_cast<unsigned>(std::countr_zero(left));
            if (const Coface* coface = cancelled(voxel + steps_[edge], Links::opposite(edge))) {
                const auto [a, b] = links_.ends(coface->at_end);
                pieces.join(a, b);
            }
        }
        for (Faces left = state(second_words_[voxel]).faces; left; left &= static_cast<Faces>(left - 1)) {
            const auto face = static_cast<unsigned>(std::countr_zero(left));
            const auto [a, b] = links_.ends(face);
            if (pieces.join(a, b)) columns_.push_back({static_cast<Faces>(Faces{1} << face), voxel, 0, false});
        }
    }

    // What the links of a voxel in both functions have in common.
    const State& common_link(Position voxel) const {
        const Word word = words_[voxel], other = second_words_[voxel];
        const auto edges = static_cast<Edges>(earlier(word) & earlier(other));
        return links_.states()[links_.state(edges, static_cast<Faces>(state(word).faces & state(other).faces))];
    }

    // The face that is cancelled with an edge of a voxel whose other end enters the second function later, or nullptr.
    const Coface* cancelled(Position voxel, unsigned edge) const {
        const Faces here = state(words_[voxel]).faces, there = state(second_words_[voxel + steps_[edge]]).faces;
        for (const Coface& coface : links_.cofaces(edge))
            if ((here & coface.face) && (there >> coface.at_end & 1)) return &coface;
        return nullptr;
    }

    const Links& links_ = Links::get();
    bool reversed_ = false;
    const VoxelOrder<Value>* order_ = nullptr;  // of the second function
    std::array<Position, directions> steps_{};
    const Word *words_ = nullptr, *second_words_ = nullptr;
    Buffer<Word> copied_;
    Buffer<Position> differing_;
    Buffer<Column> columns_;
};

}  // namespace topolayer
