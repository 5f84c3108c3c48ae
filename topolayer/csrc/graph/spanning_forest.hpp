// A minimum spanning forest of a graph whose edges come one after another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace topolayer {

// Not the forest itself, but another one on the same vertices, whose edges up to any weight connect the same vertices as those
// of the forest do, and so as many edges of each weight. It is rooted, and priorities rise towards the roots; as they are
// random, the expected depth is logarithmic.
class SpanningForest {
public:
    using Vertex = std::uint32_t;
    using Weight = std::uint32_t;
    static constexpr Weight none = std::numeric_limits<Weight>::max();

    void reset(std::size_t vertices) {
        links_.resize(vertices);
        for (std::size_t vertex = 0; vertex < vertices; ++vertex) links_[vertex] = {static_cast<Vertex>(vertex), none};
    }

    // Returns the weight of the edge that leaves the forest, the heaviest on the cycle that the new one closes; `none` if it
    // closes none.
    Weight insert(Vertex a, Vertex b, Weight weight) {
        Link edge{b, weight};
        for (;;) {  // an edge does the same from vertices that lighter ones connect with its own
            a = top(a, edge.weight);
            edge.other = top(edge.other, edge.weight);
            if (a == edge.other) return edge.weight;
            if (priority(a) > priority(edge.other)) std::swap(a, edge.other);
            std::swap(links_[a], edge);  // the lower vertex is linked by this edge now, and its own edge is inserted anew
            if (edge.weight == none) return none;  // it was a root
        }
    }

private:
    struct Link {
        Vertex other;
        Weight weight;
    };

    // The top of what edges up to a weight connect with a vertex.
    Vertex top(Vertex vertex, Weight weight) const {
        while (links_[vertex].weight <= weight) vertex = links_[vertex].other;
        return vertex;
    }

    // Different for different vertices, and the same in every run.
    static std::uint32_t priority(Vertex vertex) {
        std::uint32_t bits = vertex * 0x9e3779b1u;
        bits ^= bits >> 15;
        bits *= 0x85ebca6bu;
        return bits ^ bits >> 13;
    }

    std::vector<Link> links_;  // to the parent; the weight of a root is `none`
};

}  // namespace topolayer
