"""Given names that are common in several languages and are hardly ever anything else at the beginning of two words.

Names that are words as well (Mark, Grace, Will, May, Rose, Virginia, Austin) are left out on purpose: with them, every
second heading is a person.
"""

FIRST_NAMES = frozenset(
    """
    Aaron Abdul Abdullah Abigail Abraham Adam Adrian Adriana Agnes Agnieszka Ahmad Ahmed Aisha Alan Albert
    Alberto Aleksander Aleksandra Alejandro Alessandra Alessandro Alex Alexander Alexandra Alexandre Alexei
    Alexis Alfonso Alfred Alfredo Ali Alice Alicia Alison Allan Allen Allison Amanda Amelia Amélie Amir Amit Amy
    Ana Anastasia Anders Andrea Andreas Andrej Andrés André Andrew Andrzej Andy Angela Angelika Anita Anja Ann
    Anna Anne Annette Annie Anthony Antoine Antonia Antonio António Arjun Arthur Arturo Ashley Astrid Audrey
    Aurélie Barbara Barry Bartosz Beata Beatrice Beatriz Ben Benjamin Benoît Bernard Bernd Bernhard Bernie Beth
    Bettina Betty Birgit Bjørn Björn Boris Bradley Brandon Brenda Brian Bridget Brigitte Bruce Bruno Bryan
    Camille Carl Carla Carlo Carlos Carmen Carol Caroline Carolyn Catherine Cathy Cecilia Cédric Céline César
    Charles Charlie Cheryl Chiara Chloe Chloé Chris Christa Christian Christina Christine Christoph Christophe
    Christopher Cindy Clara Claire Clara Claude Claudia Claudio Clément Colin Connie Cornelia Craig Cristina
    Cynthia Damien Dan Daniel Daniela Daniele Danielle Danny Darren Dave David Deborah Debra Denis Dennis Derek
    Diana Diane Didier Diego Dieter Dietmar Dirk Dmitri Dmitry Dominik Dominique Donald Donna Dorota Dorothy
    Doug Douglas Duncan Dylan Eddie Edgar Edith Eduardo Edward Edwin Ekaterina Eileen Elaine Elena Elias Elisa
    Elisabeth Elizabeth Elke Ellen Emil Emilia Emilie Emily Emma Emmanuel Enrique Eric Erica Erich Erik Erika
    Ernesto Ernst Esther Étienne Eugene Eva Evelyn Ewa Fabian Fabien Fabio Fatima Federico Felipe Felix
    Ferdinand Fernando Filip Fiona Florian Francesca Francesco Francis Francisco Franck François Françoise Franz
    Fred Frédéric Frederick Friedrich Fritz Gabriel Gabriela Gabriele Gareth Gary Gavin Geoff Geoffrey Georg
    George Georges Gerald Gerard Gérard Gerd Gerhard Gilles Giorgio Giovanni Giulia Giuseppe Glenn Gloria Gordon
    Grażyna Greg Gregory Grzegorz Guido Guillaume Gunter Günter Gustav Hamid Hannah Hans Harald Harold Harry
    Hassan Heather Heidi Heike Heinrich Heinz Helen Helena Hélène Helga Helmut Henri Henry Herbert Hermann
    Hiroshi Holger Howard Hugo Hussein Ian Ibrahim Ignacio Igor Ines Inés Inge Ingrid Irena Irene Irina Isaac
    Isabel Isabella Isabelle Ivan Jack Jackie Jacob Jacqueline Jacques Jaime Jakob Jakub James Jamie Jan Jane
    Janet Janice Jason Javier Jean Jeff Jeffrey Jenna Jennifer Jenny Jens Jeremy Jérôme Jerry Jessica Jesús Jill
    Jim Jimmy Joachim Joan Joanna Joanne João Joe Joel Joëlle Johan Johann Johanna Johannes John Johnny Jon
    Jonas Jonathan Jorge José Josef Joseph Joshua Joyce Juan Judith Judy Jules Julia Julian Juliane Julie Julien
    Julio Jürgen Justin Justyna Jutta Kai Karen Karin Karl Karsten Katarzyna Kate Katherine Kathleen Kathryn
    Kathy Katja Keith Kelly Ken Kenneth Kenji Kerstin Kevin Kimberly Klaus Krystyna Krzysztof Kumar Kurt Kyle
    Lars Laura Laurence Laurent Lauren Lawrence Leila Leo Leon Leonard Leonardo Leslie Lewis Liam Linda Lisa
    Lorenzo Louis Louise Luc Luca Lucas Lucia Lucía Lucie Lucy Ludwig Luigi Luis Luís Lukas Łukasz Lutz Lydia
    Lynn Maciej Magdalena Małgorzata Manfred Manuel Manuela Marc Marcel Marcela Marcelo Marcin Marco Marcos
    Marcus Marek Margaret Margarita Maria María Marian Marianne Marie Mario Marion Markus Marta Martha Martin
    Martina Martine Marvin Mary Massimo Mateusz Mathias Mathieu Matt Matteo Matthew Matthias Maureen Maurice
    Mauro Max Maximilian Megan Mehmet Melanie Melissa Mercedes Michael Michaela Michał Micheal Michel Michele
    Michelle Miguel Mikael Mike Mikhail Milan Miriam Mohamed Mohammad Mohammed Monica Monika Monique Muhammad
    Murray Nadia Nadine Nancy Naomi Natalia Natalie Natasha Nathalie Nathan Neil Nicholas Nick Nicola Nicolas
    Nicole Nigel Nikolai Nils Nina Norbert Norman Olaf Oleg Olga Oliver Olivia Olivier Oscar Oskar Otto Pablo
    Pamela Paola Paolo Pascal Patricia Patricio Patrick Paul Paula Pauline Paulo Paweł Pedro Peggy Peter Petra
    Phil Philip Philipp Philippe Phillip Pierre Pilar Piotr Rachel Rafael Rainer Rajesh Ralf Ralph Ramón Raphaël
    Rebecca Regina Reiner Reinhard Renate René Ricardo Richard Rita Robert Roberta Roberto Rodrigo Roger Roland
    Rolf Ron Ronald Rosa Rosemary Roy Rudolf Russell Ruth Ryan Sabine Sally Salvatore Sam Samantha Samir
    Samuel Sandra Sanjay Sara Sarah Scott Sean Sébastien Sebastian Serge Sergei Sergey Sergio Shannon Sharon
    Sheila Shirley Silke Silvia Simon Simone Sofia Sophia Sophie Stefan Stefanie Stefano Stéphane Stephan
    Stephanie Stephen Steve Steven Stuart Susan Susanna Susanne Suzanne Sven Svetlana Sylvia Sylvie Takashi
    Tamara Tania Tanya Tatiana Ted Teresa Terry Thérèse Theodore Theresa Thierry Thomas Thorsten Tiffany Tim
    Timothy Tina Tobias Todd Tom Tomáš Tomasz Tommy Toni Tony Tracy Udo Ulrich Ulrike Ursula Uwe Valentina
    Valeria Valerie Vanessa Vera Verena Veronica Vicente Vicki Victor Vikram Vincent Vincenzo Vladimir Walter
    Wanda Warren Wayne Wendy Werner Wilhelm William Willem Wojciech Wolfgang Xavier Yasmin Yolanda Yves Yvonne
    Yusuf Zbigniew Zoe Zofia
    """.split()
)
