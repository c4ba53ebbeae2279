// The sentences, written for Inlay and free for any use like the rest of it. A block a topic: two
// questions, then what answers them or speaks of the same, then the same subject in other
// languages.
#include "report/texts.h"

namespace inlay::report {

std::string_view text_bank() {
  return R"(When does the last ferry to the island leave?
how rough is the sea crossing in winter
The last boat of the day leaves the harbour at half past seven, and in July an extra one follows at nine.
Cars have to be on the quay forty minutes before departure; people on foot may come as late as ten minutes.
In a gale from the north-west the crossing is called off, and passengers wait in the old customs house for news.
The ship carries three hundred passengers, forty cars and, on Thursdays, the post and the bread for the whole island.
From the upper deck you can see seals on the sandbanks when the tide is out.
A return ticket is valid for a month, and children under six travel for nothing.
The captain has sailed this strait for thirty years and says that he has been seasick on every single day of them.
Between November and March there are only two crossings a day, both of them in daylight.
Die letzte Fähre zur Insel legt um halb acht ab; bei Sturm aus Nordwest fällt sie aus.
Le dernier bateau pour l'île part à dix-neuf heures trente, sauf en cas de tempête.

Why does my sourdough loaf not rise?
best flour for rye bread
A starter that has come straight from the fridge is slow; feed it twice and wait until it doubles within five hours.
Rye has little gluten, so a loaf of pure rye stays low and moist and keeps fresh for more than a week.
Fold the dough every half hour instead of kneading it, and it will hold the gas that the yeast makes.
If the kitchen is cold, put the bowl into the oven with nothing but the lamp switched on.
Salt goes in after the flour has soaked up the water, because it tightens the gluten and slows the yeast.
The crust gets its shine from steam during the first ten minutes of baking.
My grandmother baked once a fortnight in the village oven and marked each loaf with the print of a key.
A loaf is done when it sounds hollow as you knock on its base.
Mein Sauerteigbrot geht nicht auf: der Anstellgut war zu kalt und zu lange nicht gefüttert.
パン生地が膨らまないのは、酵母が弱っているか、室温が低すぎるからです。

What makes a volcano explode instead of flowing?
signs that an eruption is near
Thick, sticky magma traps gas until the pressure breaks the rock above it, while thin basalt lets the bubbles escape.
Weeks before an eruption the ground swells by a few centimetres, and swarms of small earthquakes are felt.
Ash from a large eruption reaches the stratosphere and cools the summers of the following two years.
Lava from Hawaii flows at the speed of a walker; clouds of hot gas race down a slope faster than a train.
Farmers return to the slopes because weathered ash makes one of the most fertile soils there is.
The sulphur dioxide that leaves a crater is measured from a distance, by the light that it swallows.
In 1815 the mountain lost a third of its height in a single night.
A dormant volcano has erupted within human memory; an extinct one, as far as anybody knows, never will again.
Zäher Magma hält das Gas zurück, bis der Druck den Berg sprengt.
Извержение начинается взрывом, когда вязкая магма долго удерживает газы.

How do I stop my bicycle chain from slipping?
tyre pressure for touring with luggage
A chain that has stretched by more than three quarters of a per cent rides up on the teeth and jumps under load.
Replace chain and sprockets together, for a new chain on worn teeth slips from the first hill on.
With twenty kilos of luggage the rear tyre wants half a bar more than the front one.
Oil the chain link by link, wait a night, and wipe off everything that you can see.
A wheel that wobbles is trued by turning spokes by a quarter of a turn, never more.
Disc brakes squeal when there is oil on the rotor; a cloth with alcohol puts an end to it.
She crossed the Pyrenees on a bicycle with three gears and a basket full of apricots.
The bottom bracket creaks mostly because somebody put it in dry.
La cadena de la bicicleta salta porque está gastada y los piñones también.
自行车链条打滑，多半是因为链条和飞轮都磨损了。

Until when may I file my income tax return?
can I deduct the cost of working from home
Whoever files on paper has time until the end of July; with an adviser the date moves to the end of February.
A desk in the corner of a bedroom is no study; the room must serve work alone to be deducted in full.
Those who work at home may claim a fixed sum for each day instead of proving what it cost.
Receipts have to be kept for two years, and those of craftsmen must have been paid by transfer.
The office may ask for interest when a payment is more than fifteen months late.
An objection must be made in writing within a month after the notice has come.
Expenses for a course count if it has to do with the profession that you have, not with one that you would like.
Married people may choose each year whether they are taxed together or apart.
Die Steuererklärung muss bis Ende Juli abgegeben werden, mit Steuerberater später.
يجب تقديم الإقرار الضريبي قبل نهاية شهر يوليو.

Why are bees dancing in front of the hive?
how to help bees through the winter
A forager that has found blossoms walks a figure of eight, and its angle to the vertical is that of the flight to the sun.
The longer she waggles, the farther away the blossoms are: a second stands for about a kilometre.
In winter the colony forms a ball, shivers to keep warm and eats its way slowly upwards through the combs.
A hive that is too light in October is fed with sugar syrup before the nights grow cold.
The mite came with foreign colonies, and untreated swarms rarely live for more than three years.
Drones are thrown out in August and die within sight of the entrance.
Of the five hundred wild species most live alone and never make honey.
Linden honey sets slowly and tastes a little of mint.
Les abeilles dansent pour indiquer à leurs sœurs où se trouvent les fleurs.
मधुमक्खियाँ नाचकर एक-दूसरे को फूलों की दिशा बताती हैं।

How does the knight move in chess?
strongest reply to the king's gambit
The knight goes two squares along a row or file and one to the side, and it alone leaps over other pieces.
After 1. e4 e5 2. f4 most masters take the pawn and give it back at the right moment.
A rook on the seventh rank is worth more than the pawn that it costs to get there.
The endgame of king and pawn against king is decided by the opposition.
Whoever touches a piece has to move it, if a legal move with it exists.
She castled on the queen's side, sacrificed a bishop on h7 and won in twenty-three moves.
Programs play better than any human being since the nineties, and they still do not get tired of it.
A draw is agreed when the same position has appeared for the third time.
Конь ходит буквой «Г» и может перепрыгивать через другие фигуры.
El caballo es la única pieza que puede saltar por encima de las demás.

How long does protection by a tetanus shot last?
side effects after a flu vaccination
A booster against tetanus protects for ten years, after a dirty wound one counts on five.
A sore arm and a mild fever for a day or two are common after the flu shot and no reason to worry.
Vaccines made of messenger RNA carry the plan of a protein, not the virus itself.
Measles needs ninety-five per cent of a population to be immune, otherwise it comes back.
Live vaccines are not given during pregnancy; the other kinds can be.
The cold chain must not be broken: two to eight degrees from the factory to the arm.
Smallpox is the only human disease that vaccination has driven from the earth.
People who faint at the sight of a needle are better vaccinated lying down.
Eine Auffrischung gegen Tetanus schützt etwa zehn Jahre.
파상풍 예방 접종의 효과는 약 십 년 동안 지속됩니다.

Why is my program slower with optimisation switched on?
difference between a compiler and an interpreter
A compiler translates the whole program before it runs; an interpreter reads it line by line while it does.
Inlining too much makes code outgrow the instruction cache, and then the faster version is the slower one.
A loop that touches memory in order lets the hardware fetch ahead; one that jumps about waits for every line.
Undefined behaviour allows the optimiser to remove the very check that you relied on.
Profile first: nine tenths of the time is spent in one tenth of the code, and rarely where you think.
The linker complains about a missing symbol when a declaration has no definition anywhere.
Two threads that write to neighbouring variables fight for the same cache line.
The first version took an hour, the second a minute, and nobody remembers why.
Un compilador traduce todo el programa antes de ejecutarlo; un intérprete, línea por línea.
コンパイラは実行前に全体を翻訳し、インタプリタは一行ずつ実行する。

When should I prune roses?
plants that grow in dry shade
Roses are cut back when the forsythia blooms, above a bud that points outwards.
Under old trees, where it is dry and dark, barrenwort and cranesbill will still cover the ground.
Water tomatoes at the root in the morning, never on the leaves, or they catch blight.
Slugs do not cross copper, though a determined one has been known to.
A compost heap wants as much brown as green and a turn with the fork every month.
Garlic is planted in October and lifted when a third of the leaves have turned yellow.
The hedge may be trimmed from the middle of June, when the birds have left their nests.
Nothing lives as long as ground elder, of which every crumb of root makes a plant.
Rosen schneidet man, wenn die Forsythien blühen, über einer Knospe, die nach außen zeigt.
As roseiras podam-se no fim do inverno, acima de um gomo virado para fora.

How fast do glaciers move?
why is glacier ice blue
Most glaciers creep a few centimetres to a metre a day, and in the middle faster than at the edges.
Thick ice swallows red light and lets the blue through, and the fewer bubbles it has, the deeper the colour.
A crevasse opens where the ice bends over a step in the rock below.
The tongue has drawn back by two kilometres since my father skied on it.
Moraines are walls of rubble that the ice pushed ahead of itself and left behind.
Cores drilled in Antarctica hold air that is eight hundred thousand years old.
In summer a river of milky water, full of ground rock, runs out from under the ice.
A glacier gains in winter what falls as snow above and loses in summer what melts below.
Gletscher bewegen sich meist einige Zentimeter bis einen Meter am Tag.
Buzullar genellikle günde birkaç santimetre ile bir metre arasında hareket eder.

What is a violin bow strung with?
how to tune a violin by ear
The bow is strung with the hair of white horses, a hundred and sixty strands or so, and rubbed with rosin.
Tune the A to the fork, then the others in fifths, until the beats between two strings die away.
The sound post, a stick of spruce between belly and back, is called the soul in French.
A new string stretches for days and has to be tuned after every piece.
Old varnish is thinner than one believes, and its recipe was hardly ever a secret.
Whoever presses harder does not play louder, only shorter and rougher.
The orchestra takes its A from the oboe, which cannot easily be retuned.
Half-size instruments are for children of about seven years, and for thin walls.
L'archet du violon est tendu de crins de cheval enduits de colophane.
小提琴的弓是用马尾毛做的，还要擦松香。
)";
}

}  // namespace inlay::report
