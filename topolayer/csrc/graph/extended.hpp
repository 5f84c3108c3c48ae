// Extended persistence of graphs: after the sweep through all vertices, a second one in the other direction, through the graph
// relative to what it has passed. Every component and every loop that the first one leaves behind dies in the second.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/bars.hpp"
#include "common/interrupt.hpp"
#include "common/sample.hpp"
#include "graph/graph.hpp"
#include "graph/persistence.hpp"
#include "graph/spanning_forest.hpp"

namespace topolayer {

// The kinds of bars, by dimension: those of components, then those of loops.
enum ExtendedKind { ordinary, extended_components, relative, extended_loops };
inline constexpr int extended_kinds[] = {ordinary, extended_components, relative, extended_loops};

template <class Value>
class ExtendedPersistence {
public:
    // Bars of each kind.
    void operator()(const Sample<Value>& sample, const Graph& graph, Bars* bars) {
        Sample<Value> back(sample);
        back.superlevel = !sample.superlevel;
        Bars components, components_back;
        if (!first_.find(sample, graph, components, nullptr)) {
            bars[0].nonfinite = true;
            return;
        }
        second_.find(back, graph, components_back, nullptr);
        bars[ordinary].finite = std::move(components.finite);
        bars[relative].finite = std::move(components_back.finite);
        for (const std::int64_t last : components_back.essential)
            push(sample, first_.oldest(static_cast<Graph::Vertex>(last)), last, bars[extended_components]);
        find_loops(sample, graph, bars[extended_loops]);
    }

private:
    using Age = SpanningForest::Weight;

    // The second sweep finds a loop once the last of its edges is there. Of the edges so far, those that it needs to connect
    // what they connect are a minimum spanning forest; each other edge completes a loop there. So with an edge that closes a
    // cycle here, a loop is born that dies with the edge of the cycle that comes last there.
    void find_loops(const Sample<Value>& sample, const Graph& graph, Bars& bars) {
        Pace pace(sample.interrupt);
        forest_.reset(graph.size());
        deaths_.clear();
        for (Age now = 0; now < graph.size(); ++now) {
            const Graph::Vertex vertex = first_.vertex(now);
            pace.after(1);
            for (const Graph::Vertex neighbor : graph.neighbors(vertex)) {
                if (first_.age(neighbor) > now) continue;
                const Age there = std::max(second_.age(vertex), second_.age(neighbor));
                const Age death = forest_.insert(vertex, neighbor, there);
                if (death != SpanningForest::none) deaths_.push_back({death, now});
            }
        }
        std::sort(deaths_.begin(), deaths_.end());
        for (const auto& [death, birth] : deaths_) push(sample, first_.vertex(birth), second_.vertex(death), bars);
    }

    static void push(const Sample<Value>& sample, std::int64_t birth, std::int64_t death, Bars& bars) {
        if (sample.values[birth] != sample.values[death]) bars.finite.insert(bars.finite.end(), {birth, death});
    }

    GraphPersistence<Value> first_, second_;
    SpanningForest forest_;
    std::vector<std::pair<Age, Age>> deaths_;  // of loops, with births
};

}  // namespace topolayer
